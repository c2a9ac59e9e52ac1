// Connections as NetworkManager hands them over.

/** What a person's certificate connection has, and whatever is laid over it; undefined takes a key away. */
export function connectionOf(
  data: Readonly<Record<string, string | undefined>> = {},
  more: {
    readonly secrets?: Readonly<Record<string, string>>;
    readonly permissions?: readonly string[];
    readonly vpn?: Readonly<Record<string, unknown>>;
    readonly ipv4?: Readonly<Record<string, unknown>>;
    readonly ipv6?: Readonly<Record<string, unknown>>;
  } = {},
): Record<string, Record<string, unknown>> {
  const all = { 'connection-type': 'tls', remote: 'vpn.example', ...data };
  return {
    connection: {
      id: 'Office',
      uuid: '00000000-0000-4000-8000-000000000001',
      type: 'vpn',
      permissions: more.permissions ?? [],
    },
    vpn: {
      'service-type': 'org.freedesktop.NetworkManager.openvpn',
      data: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
      secrets: more.secrets ?? {},
      ...more.vpn,
    },
    ipv4: { method: 'auto', ...more.ipv4 },
    ipv6: { method: 'auto', ...more.ipv6 },
    proxy: {},
  };
}
