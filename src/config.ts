// Entry point `sallyport/config`: profiles read and checked, without a connection and without a platform.

export { type CheckedProfile, checkProfile, inLineOrder } from './config/check.ts';
export type {
  Config,
  ConfigLine,
  ConnectionProfile,
  Finding,
  Origin,
  Severity,
  Source,
  TunnelOptions,
} from './config/config.ts';
export { COMMAND_LINE, optionsErrorText, placeOf, warningsOf } from './config/findings.ts';
export { lexText, quoteWord } from './config/lexer.ts';
export type { OptionRow, OptionStatus } from './config/option-row.ts';
export { OPTION_GROUPS, OPTIONS } from './config/option-table.ts';
export { type ConfigHost, type ConfigInput, type ParsedConfig, parseConfig } from './config/parse.ts';
export type { ListenOption, ServerOptions } from './config/server-options.ts';
export { usageText } from './config/usage.ts';
