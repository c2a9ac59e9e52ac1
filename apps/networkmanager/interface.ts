// Names and types of org.freedesktop.NetworkManager.VPN.Plugin.

export const INTERFACE_PREFIX = 'org.freedesktop.NetworkManager';
export const PLUGIN_PATH = '/org/freedesktop/NetworkManager/VPN/Plugin';
export const PLUGIN_INTERFACE = `${INTERFACE_PREFIX}.VPN.Plugin`;
export const ERROR_PREFIX = `${INTERFACE_PREFIX}.VPN.Error`;

export const METHODS = {
  Connect: { in: 'a{sa{sv}}', out: '' },
  ConnectInteractive: { in: 'a{sa{sv}}a{sv}', out: '' },
  NeedSecrets: { in: 'a{sa{sv}}', out: 's' },
  NewSecrets: { in: 'a{sa{sv}}', out: '' },
  Disconnect: { in: '', out: '' },
  SetConfig: { in: 'a{sv}', out: '' },
  SetIp4Config: { in: 'a{sv}', out: '' },
  SetIp6Config: { in: 'a{sv}', out: '' },
  SetFailure: { in: 's', out: '' },
} as const;
export type MethodName = keyof typeof METHODS;

export const SIGNALS = {
  StateChanged: 'u',
  SecretsRequired: 'sas',
  Config: 'a{sv}',
  Ip4Config: 'a{sv}',
  Ip6Config: 'a{sv}',
  LoginBanner: 's',
  Failure: 'u',
} as const;
