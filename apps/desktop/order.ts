/** The name among a daemon's secrets under which `sallyport up` hands over where the control socket is to be. */
export const CONTROL_ORDER = 'control order';
