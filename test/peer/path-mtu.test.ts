import { describe, expect, it } from 'vitest';
import { fitPathMtu, linkErrorLine } from '../../src/peer/path-mtu.ts';

const sizes = (more: Partial<Parameters<typeof fitPathMtu>[0]> = {}) => ({
  mssFix: undefined,
  fragment: undefined,
  tunMtuBytes: 1500,
  ...more,
});
const IPV4_UDP = 28;

describe('the MTU of the path', () => {
  it('lowers mssfix, and says so in the words of the C program', () => {
    expect(fitPathMtu(sizes(), 1400, IPV4_UDP)).toEqual({
      sizes: sizes({ mssFix: { bytes: 1400, mode: 'mtu' } }),
      lines: ["Note adjusting 'mssfix 1492 mtu' to 'mssfix 1400 mtu' according to path MTU discovery"],
    });
  });

  it('lowers fragment and the mssfix that follows it, and counts the headers where the option did not', () => {
    const fragment = { bytes: 1400, mtuMode: false };
    expect(fitPathMtu(sizes({ fragment, mssFix: { bytes: 1400, mode: 'payload' } }), 1420, IPV4_UDP)).toEqual({
      sizes: sizes({ fragment: { bytes: 1420, mtuMode: true }, mssFix: { bytes: 1420, mode: 'mtu' } }),
      lines: [
        "Note adjusting 'mssfix 1400' to 'mssfix 1420 mtu' according to path MTU discovery",
        "Note adjusting 'fragment 1400' to 'fragment 1420 mtu' according to path MTU discovery",
      ],
    });
  });

  it.each([
    ['what fits', sizes(), 1492],
    ['mssfix 0', sizes({ mssFix: { bytes: 0, mode: 'payload' } }), 600],
    ['a payload that fits with its headers', sizes({ mssFix: { bytes: 1400, mode: 'payload' } }), 1428],
  ] as const)('leaves %s alone', (_title, before, pathMtuBytes) => {
    expect(fitPathMtu(before, pathMtuBytes, IPV4_UDP)).toBeUndefined();
  });

  it('is part of the line about the error', () => {
    const error = { type: 'link-error', link: 1, code: 'EMSGSIZE', text: 'Message too long', errno: 90 } as const;
    expect(linkErrorLine({ ...error, writing: true, pathMtuBytes: 1400 }, 'UDPv4', 7)).toBe(
      'write UDPv4 [EMSGSIZE Path-MTU=1400]: Message too long (fd=7,code=90)',
    );
    const refused = {
      type: 'link-error',
      link: 1,
      code: 'ECONNREFUSED',
      text: 'Connection refused',
      errno: 111,
    } as const;
    expect(linkErrorLine(refused, 'UDPv4', 7)).toBe('read UDPv4 [ECONNREFUSED]: Connection refused (fd=7,code=111)');
  });
});
