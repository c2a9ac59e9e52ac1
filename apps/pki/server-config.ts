// The text of a server's configuration: what it needs, with a word on each, and what it may need as comments. Every option
// is one that OpenVPN 2.6 takes, so that `openvpn --config` runs the same file.

import type { HostFacts } from './host-facts.ts';
import type { Protocol } from './settings.ts';

export interface ServerPlan {
  /** `10.8.0.0` and `255.255.255.0`. */
  readonly network: string;
  readonly netmask: string;
  readonly prefix: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly serverName: string;
  /** Options that name files: ca, cert, key, dh, tls-crypt-v2. */
  readonly files: readonly string[];
  /** `crl-verify …`, on the copy that the unprivileged server can read. */
  readonly crlVerify: string;
  readonly user: string | undefined;
  readonly host: HostFacts;
  /** 40 random bits of a unique local IPv6 prefix, as `fdxx:xxxx:xxxx`. */
  readonly uniqueLocal: string;
}

/** The file's text. */
export function serverConfigText(plan: ServerPlan): string {
  const { host, port, protocol } = plan;
  const isUdp = protocol === 'udp';
  const out = host.wayOut ?? 'eth0';
  const lines = [
    `# ${plan.serverName}: an OpenVPN server, for sallyport and for openvpn 2.6 and newer.`,
    '# Lines that begin with # explain, lines that begin with ; are options to switch on.',
    '',
    '# Where it listens: every address of this host. One address only:',
    ...(host.addresses.length === 0
      ? [';local 192.0.2.1']
      : host.addresses.map(({ device, address }) => `;local ${address}   # ${device}`)),
    `port ${port}`,
    `# ${isUdp ? 'udp is faster; tcp passes where only the web does' : 'tcp passes where only the web does; udp is faster'}. ${protocol}6 serves IPv4 and IPv6.`,
    `proto ${protocol}`,
    '',
    '# The tunnel. This host is the first address of the network; it clashed with none of its networks when this was written.',
    'dev tun',
    'topology subnet',
    `server ${plan.network} ${plan.netmask}`,
    '# IPv6 in the tunnel, with a prefix made for this host:',
    `;server-ipv6 ${plan.uniqueLocal}:8::/64`,
    '',
    '# Who this is, and who may come: certificates of this authority that are not revoked.',
    ...plan.files,
    plan.crlVerify,
    'remote-cert-tls client',
    'tls-version-min 1.2',
    '',
    '# Both ends notice within a minute that the other is gone.',
    'keepalive 10 60',
    ...(isUdp ? ['# Clients learn at once that the server stops.', 'explicit-exit-notify 1'] : []),
    '',
    '# After the start it needs no rights. Keys and device stay open over a restart (for keys, 2.7 does so by itself).',
    ...(plan.user === undefined
      ? [';user nobody', `;group ${host.group}`]
      : [`user ${plan.user}`, `group ${host.group}`]),
    'persist-key',
    'persist-tun',
    '',
    '# What clients shall know. All of their traffic through here, with a name server that answers there:',
    ';push "redirect-gateway def1"',
    ';push "dhcp-option DNS 9.9.9.9"',
    '# Or only networks behind this host:',
    ';push "route 192.0.2.0 255.255.255.0"',
    '# Clients may reach each other:',
    ';client-to-client',
    '# Options for one client each, in files named as its certificate:',
    ';client-config-dir /etc/openvpn/ccd',
    '',
    '# What clients send on to others leaves this host only if it forwards and translates:',
    '#   sysctl -w net.ipv4.ip_forward=1',
    '#   nft add table ip vpn',
    "#   nft 'add chain ip vpn out { type nat hook postrouting priority srcnat; }'",
    `#   nft add rule ip vpn out ip saddr ${plan.prefix} oifname "${out}" masquerade`,
    `# or: iptables -t nat -A POSTROUTING -s ${plan.prefix} -o ${out} -j MASQUERADE`,
    ...(host.wayOut === undefined
      ? [`# (${out} stands for the device of the default route; this host had none.)`]
      : []),
    '',
    'verb 3',
  ];
  return `${lines.join('\n')}\n`;
}
