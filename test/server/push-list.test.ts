import { describe, expect, it } from 'vitest';
import type { PushChange } from '../../src/config/server-options.ts';
import { chooseProtocol } from '../../src/server/protocol-choice.ts';
import {
  compressionMigration,
  negotiatesCipher,
  type PushFacts,
  pushList,
  renewedTokenReply,
  tokenOptions,
} from '../../src/server/push-list.ts';
import { ivProtoOf, parsePeerInfo } from '../../src/wire/peer-info.ts';

// What clients of these versions send (those options that matter here).
const peers = {
  '2.5': 'IV_NCP=2\nIV_CIPHERS=AES-256-GCM:AES-128-GCM\nIV_PROTO=6\n',
  '2.6': 'IV_MTU=1600\nIV_NCP=2\nIV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\nIV_PROTO=990\n',
  '2.7': 'IV_MTU=1600\nIV_NCP=2\nIV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\nIV_PROTO=8094\n',
  none: '',
};
type Peer = keyof typeof peers;

function facts(peer: Peer, more: Partial<PushFacts> = {}): PushFacts {
  const peerInfo = parsePeerInfo(peers[peer]);
  const chosen = chooseProtocol(ivProtoOf(peerInfo), { requireExporter: false, epochData: true, aeadNegotiated: true });
  if ('refusal' in chosen) throw new Error(chosen.refusal.line);
  return {
    push: ['route-gateway 10.8.0.1', 'topology subnet', 'ping 10', 'ping-restart 60'],
    migration: undefined,
    client: { push: [], iroutes: [], iroutes6: [] },
    addresses: {
      v4: { local: '10.8.0.2', pushed: '10.8.0.2', remoteOrNetmask: '255.255.255.0' },
      v6: undefined,
    },
    peerId: 0,
    token: undefined,
    cipher: 'AES-256-GCM',
    protocol: chosen.choice,
    peerInfo,
    tunMtuBytes: 1500,
    ...more,
  };
}

const options = (peer: Peer, more?: Partial<PushFacts>): string => pushList(facts(peer, more)).options.join(',');
const head = 'route-gateway 10.8.0.1,topology subnet,ping 10,ping-restart 60';
const v6 = { local: 'fd00:8::1000', prefixLength: 64, remote: 'fd00:8::1' };
const changed = (...push: PushChange[]) => ({ client: { push, iroutes: [], iroutes6: [] } });

describe('the options that a client is pushed', () => {
  // Replies of OpenVPN 2.7.8 to real clients of these versions.
  it.each([
    ['2.5', `${head},ifconfig 10.8.0.2 255.255.255.0,peer-id 0,cipher AES-256-GCM`],
    [
      '2.6',
      `${head},ifconfig 10.8.0.2 255.255.255.0,peer-id 0,cipher AES-256-GCM,protocol-flags cc-exit tls-ekm dyn-tls-crypt,tun-mtu 1500`,
    ],
    [
      '2.7',
      `${head},ifconfig 10.8.0.2 255.255.255.0,peer-id 0,cipher AES-256-GCM,protocol-flags cc-exit tls-ekm dyn-tls-crypt aead-epoch,tun-mtu 1500`,
    ],
    ['none', `${head},ifconfig 10.8.0.2 255.255.255.0`],
  ] as const)('suit its version: %s', (peer, expected) => {
    expect(options(peer)).toBe(expected);
  });

  it('have IPv6 before IPv4, and the token between peer-id and cipher', () => {
    const more = {
      addresses: { v4: { local: '10.8.0.6', pushed: '10.8.0.6', remoteOrNetmask: '10.8.0.5' }, v6 },
      token: { token: 'SESS_ID_AT_x', username: 'man' },
    };
    expect(options('2.5', more)).toBe(
      `${head},ifconfig-ipv6 fd00:8::1000/64 fd00:8::1,ifconfig 10.8.0.6 10.8.0.5,peer-id 0,auth-token SESS_ID_AT_x,auth-token-user bWFu,cipher AES-256-GCM`,
    );
  });

  it('tell a client with the exporter but without cc-exit in the older words', () => {
    const protocol = { ...facts('2.6').protocol, ccExit: false };
    expect(options('2.6', { protocol })).toContain(
      ',cipher AES-256-GCM,key-derivation tls-ekm,protocol-flags dyn-tls-crypt,tun-mtu 1500',
    );
  });

  it.each([
    [
      'add',
      changed({ type: 'add', option: 'route 10.99.0.0 255.255.0.0' }),
      `${head},route 10.99.0.0 255.255.0.0,ifconfig `,
    ],
    [
      'remove by prefix',
      changed({ type: 'remove', prefix: 'ping' }),
      'route-gateway 10.8.0.1,topology subnet,ifconfig ',
    ],
    [
      'remove before an addition of the same',
      changed({ type: 'remove', prefix: 'route' }, { type: 'add', option: 'route 10.99.0.0 255.255.0.0' }),
      'topology subnet,ping 10,ping-restart 60,route 10.99.0.0 255.255.0.0,ifconfig ',
    ],
    [
      'remove after an addition',
      changed({ type: 'add', option: 'route 10.99.0.0' }, { type: 'remove', prefix: 'route' }),
      'topology subnet,ping 10,ping-restart 60,ifconfig ',
    ],
    ['reset', changed({ type: 'reset' }), 'ifconfig '],
    [
      'remove ifconfig',
      changed({ type: 'remove', prefix: 'ifconfig' }),
      `${head},ifconfig-ipv6 fd00:8::1000/64 fd00:8::1,peer-id 0`,
    ],
    ['remove ifconfig-ipv6', changed({ type: 'remove', prefix: 'ifconfig-ipv6' }), `${head},ifconfig 10.8.0.2`],
    [
      'remove what the session adds',
      changed({ type: 'remove', prefix: 'cipher' }, { type: 'remove', prefix: 'peer-id' }),
      head,
    ],
  ])('take the client’s changes: %s', (_, more, expected) => {
    const withV6 =
      expected.includes('ifconfig-ipv6') || more.client.push.some((c) => 'prefix' in c && c.prefix === 'ifconfig-ipv6');
    const addresses = { ...facts('2.6').addresses, v6: withV6 ? v6 : undefined };
    const text = options('2.6', { ...more, addresses });
    expect(text.startsWith(expected)).toBe(true);
    expect(text.endsWith('cipher AES-256-GCM,protocol-flags cc-exit tls-ekm dyn-tls-crypt,tun-mtu 1500')).toBe(true);
  });

  it.each([
    ['route 192.168.44.0 255.255.255.0', false],
    ['route 192.168.44.0 255.255.255.0 10.8.0.1', true],
    ['route 192.168.44.0', true],
    ['route 192.168.44.9', false],
    ['route 192.168.44.0 255.255.0.0', true],
    ['route 192.168.44.0 255.0.255.0', true],
    ['route name 255.255.255.0', true],
    ['route', true],
    ['route "', true],
    ['route-ipv6 fd00:44::/64', false],
    ['route-ipv6 fd00:44::1/64', false],
    ['route-ipv6 fd00:44::/64 fd00:8::1', true],
    ['route-ipv6 fd00:44::/65', true],
    ['route-ipv6 x', true],
  ])('leave out a route to the client’s own network: %s stays %s', (route, stays) => {
    const client = { push: [], iroutes: ['192.168.44.0/24', '192.168.44.9/32'], iroutes6: ['fd00:44::/64'] };
    const list = pushList(facts('2.6', { push: [route], client })).options;
    expect(list.includes(route)).toBe(stays);
  });

  it('warn about a client that cannot have so large an MTU', () => {
    expect(pushList(facts('2.6', { tunMtuBytes: 1601 })).notes).toEqual([
      'Warning: reported maximum MTU from client (1600) is lower than MTU used on the server (1601). Add tun-mtu-max 1601 to client configuration.',
    ]);
    expect(pushList(facts('2.6', { tunMtuBytes: 1600 })).notes).toEqual([]);
  });

  it.each([
    ['1600', true],
    ['0', true],
    ['', false],
    ['x', false],
    ['99999999999999999999', true],
  ])('have the MTU when the client states one: %j', (text, expected) => {
    const list = options('2.6', { peerInfo: new Map([['IV_MTU', text]]) });
    expect(list.includes('tun-mtu 1500')).toBe(expected);
  });

  it('leave out a user name that fits into no option', () => {
    expect(tokenOptions('T', 'u'.repeat(177))).toHaveLength(2);
    expect(tokenOptions('T', 'u'.repeat(178))).toEqual(['auth-token T']);
    expect(tokenOptions('T', '')).toEqual(['auth-token T']);
    expect(renewedTokenReply('T')).toBe('PUSH_REPLY,auth-token T');
  });
});

describe('compress migrate', () => {
  const theirs = 'V4,dev-type tun,link-mtu 1550,tun-mtu 1500,proto UDPv4,comp-lzo,auth SHA1,key-method 2,tls-client';
  it.each([
    ['off', false, theirs, 'IV_COMP_STUBv2=1\n', undefined],
    ['a client without compression', true, theirs.replace(',comp-lzo', ''), 'IV_COMP_STUBv2=1\n', undefined],
    [
      'a client with the new framing',
      true,
      theirs,
      'IV_COMP_STUBv2=1\n',
      { push: 'compress stub-v2', framing: 'none' },
    ],
    ['an old client', true, theirs, 'IV_COMP_STUB=1\n', { push: 'comp-lzo no', framing: 'stub' }],
  ] as const)('with %s', (_, migrate, optionsString, info, expected) => {
    expect(compressionMigration(migrate, optionsString, parsePeerInfo(info))).toEqual(expected);
  });

  it('is pushed after the server’s list and before the client’s changes', () => {
    expect(options('2.5', { migration: 'compress stub-v2' })).toContain('ping-restart 60,compress stub-v2,ifconfig ');
    expect(
      options('2.5', { migration: 'compress stub-v2', ...changed({ type: 'remove', prefix: 'compress' }) }),
    ).not.toContain('compress');
  });
});

describe('a cipher', () => {
  it.each([
    ['IV_CIPHERS=\n', true],
    ['IV_NCP=2\n', true],
    ['IV_NCP=1\n', false],
    ['IV_NCP=x\n', false],
    ['', false],
  ])('can be told to a client that says %j: %s', (info, expected) => {
    expect(negotiatesCipher(parsePeerInfo(info))).toBe(expected);
  });
});

describe('the protocol', () => {
  const own = { requireExporter: false, epochData: true, aeadNegotiated: true };
  it('has of the client’s abilities those that the server has', () => {
    expect(chooseProtocol(8094, own)).toMatchObject({
      choice: {
        peerId: true,
        tlsKeyExport: true,
        ccExit: true,
        dynamicTlsCrypt: true,
        epochData: true,
        pushUnasked: true,
      },
    });
    expect(chooseProtocol(990, own)).toMatchObject({ choice: { epochData: false } });
    expect(chooseProtocol(8094, { ...own, epochData: false })).toMatchObject({ choice: { epochData: false } });
    expect(chooseProtocol(8094, { ...own, aeadNegotiated: false })).toMatchObject({ choice: { epochData: false } });
    expect(chooseProtocol(0, own)).toMatchObject({ choice: { peerId: false, pushUnasked: false }, notes: [] });
  });

  it('refuses a client without the exporter where that is required', () => {
    const required = { ...own, requireExporter: true };
    expect(chooseProtocol(6, required)).toMatchObject({
      refusal: { reason: /^Client incompatible with this server\./ },
    });
    expect(chooseProtocol(8, required)).toMatchObject({ choice: { tlsKeyExport: true } });
  });

  it('notes a peer that does not pull', () => {
    expect(chooseProtocol(1 << 5, own)).toMatchObject({ notes: [/P2P mode/] });
  });
});
