// What a call of ours is refused with: the names that NetworkManager's VPN interface has for it.

export type PluginErrorName =
  | 'AlreadyStopped'
  | 'BadArguments'
  | 'InvalidConnection'
  | 'LaunchFailed'
  | 'StoppingInProgress'
  | 'WrongState';

/** Becomes `org.freedesktop.NetworkManager.VPN.Error.REASON`; the message names what is wrong, and no secret. */
export class PluginError extends Error {
  readonly reason: PluginErrorName;

  constructor(reason: PluginErrorName, message: string) {
    super(message);
    this.name = 'PluginError';
    this.reason = reason;
  }
}

export const badArguments = (message: string): PluginError => new PluginError('BadArguments', message);

/** A text of a connection, for messages: one line, of bounded length. */
export const shown = (text: string): string => {
  const clean = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
  return clean.length > 80 ? `${clean.slice(0, 80)}…` : clean;
};
