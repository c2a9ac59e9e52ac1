import { describe, expect, it } from 'vitest';
import { agreementLine, agreeWithPeer } from '../../src/session/peer-negotiation.ts';

const exported: string[] = [];
const exporter = (length: number, label: string): Uint8Array => {
  exported.push(`${length} ${label}`);
  return Uint8Array.of(0x12, 0x34, 0x56);
};

const agree = (tlsRole: 'client' | 'server', own: string, peerInfo: Record<string, string>) =>
  agreeWithPeer({ tlsRole, dataCiphers: own.split(':'), epoch: true }, new Map(Object.entries(peerInfo)), exporter);

// DATA_V2, TLS_KEY_EXPORT, NCP_P2P, CC_EXIT as 2.6 and 2.7 set them.
const ALL = `${2 | 8 | 32 | 128}`;

describe('two equal ends', () => {
  it.each([
    ['server', 'A:B', 'B:A', 'A'],
    ['client', 'A:B', 'B:A', 'B'],
    ['server', 'A:B', 'C:B', 'B'],
    ['client', 'A:B', 'C:D', undefined],
    ['server', 'A', '', undefined],
  ] as const)('as TLS %s with %s and a peer with %s have the cipher %s', (role, own, theirs, cipher) => {
    expect(agree(role, own, { IV_CIPHERS: theirs, IV_PROTO: ALL }).cipher).toBe(cipher);
  });

  it('make the peer-id of what TLS exports', () => {
    exported.length = 0;
    expect(agree('client', 'A', { IV_CIPHERS: 'A', IV_PROTO: ALL })).toEqual({
      cipher: 'A',
      peerId: 0x123456,
      useExporter: true,
      controlExit: true,
      epochData: false,
      dynamicTlsCrypt: false,
    });
    expect(exported).toEqual(['3 EXPORTER-OpenVPN-p2p-peerid']);
  });

  it.each([
    ['exports nothing', `${2 | 32}`, { peerId: 0x76706e, useExporter: false, controlExit: false }],
    ['speaks DATA_V1 alone', `${8 | 32}`, { peerId: undefined, useExporter: true, controlExit: false }],
    ['does not negotiate so', `${2 | 8 | 128}`, { peerId: undefined, useExporter: false, controlExit: false }],
    ['says nonsense', 'many', { peerId: undefined, useExporter: false, controlExit: false }],
  ] as const)('keep to what a peer can that %s', (_title, IV_PROTO, agreed) => {
    const none = { epochData: false, dynamicTlsCrypt: false };
    expect(agree('server', 'A', { IV_CIPHERS: 'A', IV_PROTO })).toEqual({ cipher: 'A', ...agreed, ...none });
  });

  it('use epochs under an AEAD cipher, and a key for renegotiations, where both have them', () => {
    const peer = { IV_CIPHERS: 'AES-256-GCM:AES-256-CBC', IV_PROTO: `${2 | 8 | 32 | 512 | 1024}` };
    expect(agree('server', 'AES-256-GCM', peer)).toMatchObject({ epochData: true, dynamicTlsCrypt: true });
    expect(agree('server', 'AES-256-CBC', peer)).toMatchObject({ epochData: false, dynamicTlsCrypt: true });
  });

  it('have nothing in common with a peer that says nothing', () => {
    const agreement = agree('server', 'A', {});
    expect(agreement).toMatchObject({ cipher: undefined, peerId: undefined, useExporter: false, controlExit: false });
    expect(agreementLine(agreement, 'AES-256-CBC')).toBe(
      'P2P mode NCP negotiation result: TLS_export=0, DATA_v2=0, peer-id 16777215, cipher=(not negotiated, fallback-cipher: AES-256-CBC)',
    );
  });

  it('tell the log what came of it', () => {
    expect(agreementLine(agree('server', 'A', { IV_CIPHERS: 'A', IV_PROTO: ALL }), undefined)).toBe(
      'P2P mode NCP negotiation result: TLS_export=1, DATA_v2=1, peer-id 1193046, cipher=A',
    );
  });
});
