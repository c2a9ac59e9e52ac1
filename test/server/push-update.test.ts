import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/parse.ts';
import type { ClientAddresses } from '../../src/server/client-addresses.ts';
import { givesAddress, makePushUpdate, takesUpdates } from '../../src/server/push-update.ts';
import { PushReplyJoiner, writePushUpdate } from '../../src/wire/push-reply.ts';

const text = `dev tun
topology subnet
server 10.8.0.0 255.255.255.0
server-ipv6 fd00:8::/64
dh none
<ca>
x
</ca>
<cert>
x
</cert>
<key>
x
</key>
`;
const { config } = parseConfig({ text, file: 'server.conf' }, { readText: () => undefined });
if (config === undefined) throw new Error('the configuration is wrong');

const own: ClientAddresses = {
  v4: { local: '10.8.0.2', pushed: '10.8.0.2', remoteOrNetmask: '255.255.255.0' },
  v6: { local: 'fd00:8::1000', prefixLength: 64, remote: 'fd00:8::1' },
};
const make = (...options: readonly string[]) => makePushUpdate(options, own, config, { local6: 'fd00:8::1' });

describe('an update', () => {
  it.each<[title: string, options: readonly string[], addresses: Partial<ClientAddresses>]>([
    ['of routes leaves the addresses alone', ['route 10.1.0.0 255.255.0.0', '-dns', '?block-ipv6'], {}],
    [
      'of an address changes it',
      ['ifconfig 10.8.0.99 255.255.255.0'],
      { v4: { local: '10.8.0.99', pushed: '10.8.0.99', remoteOrNetmask: '255.255.255.0' } },
    ],
    ['that takes an address away leaves none', ['-ifconfig'], { v4: undefined }],
    [
      'of the IPv6 address changes that alone',
      ['ifconfig-ipv6 fd00:8::99/64 fd00:8::1'],
      { v6: { local: 'fd00:8::99', prefixLength: 64, remote: 'fd00:8::1' } },
    ],
  ])('%s', (_title, options, addresses) => {
    expect(make(...options)).toEqual({
      texts: [`PUSH_UPDATE,${options.join(',')}`],
      addresses: { ...own, ...addresses },
    });
  });

  it.each([
    ['an option that can not be changed', ['cipher AES-128-GCM']],
    ['a removal with words', ['-route 10.1.0.0 255.255.0.0']],
    ['a name that there is not', ['bogus']],
    ['words that are wrong', ['ifconfig 10.8.0.99']],
    ['two options in one', ['route 10.1.0.0 255.255.0.0,topology p2p']],
    ['a control character', ['route 10.1.0.0\nPUSH_REPLY']],
    ['nothing', []],
  ])('is refused with %s', (_title, options) => {
    expect(() => make(...options)).toThrowError(expect.objectContaining({ code: 'SALLYPORT_PUSH' }));
  });

  it('goes to those who announce that they take it', () => {
    expect(takesUpdates(new Map([['IV_PROTO', String(1 << 12)]]))).toBe(true);
    expect(takesUpdates(new Map([['IV_PROTO', String(0xffff & ~(1 << 12))]]))).toBe(false);
    expect(takesUpdates(new Map())).toBe(false);
  });

  it('is for one client where it gives an address', () => {
    expect(givesAddress(['route 10.1.0.0 255.255.0.0', 'ifconfig 10.8.0.9 255.255.255.0'])).toBe(true);
    expect(givesAddress(['?ifconfig-ipv6 fd00::9/64'])).toBe(true);
    expect(givesAddress(['-ifconfig', 'route 10.1.0.0 255.255.0.0'])).toBe(false);
  });
});

describe('writePushUpdate', () => {
  it('fills messages as far as the C program does, and marks those that go on', () => {
    const options = Array.from({ length: 90 }, (_, at) => `route 10.${at}.0.0 255.255.0.0`);
    const texts = writePushUpdate(options);
    const joiner = new PushReplyJoiner();
    const verdicts = texts.map((each) => joiner.handleFragment(each.slice('PUSH_UPDATE,'.length)));
    expect(verdicts.at(-1)).toEqual({ complete: true, options });
    expect(texts.slice(0, -1).every((each) => each.endsWith(',push-continuation 2'))).toBe(true);
    expect(texts.at(-1)).toMatch(/,push-continuation 1$/);
    for (const each of texts) expect(each.length - ',push-continuation 2'.length - 12).toBeLessThanOrEqual(928);
  });

  it('takes an option of 928 bytes, and no longer one', () => {
    expect(writePushUpdate(['x'.repeat(928)])).toHaveLength(1);
    expect(writePushUpdate(['x'.repeat(463), 'y'.repeat(464)])).toHaveLength(1);
    expect(writePushUpdate(['x'.repeat(464), 'y'.repeat(464)])).toHaveLength(2);
    expect(() => writePushUpdate(['x'.repeat(929)])).toThrow(RangeError);
  });
});
