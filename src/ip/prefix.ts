// Network prefixes in text form, as configuration and ports pass them on.

/** `10.8.0.0/24`, `fd00::/64`: canonical text, host bits zero. */
export type PrefixText = string;
