// A client that is killed at every step of what it does to its host, on the real kernel and in real files: the recovery
// leaves the host as it was before, to the byte.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useLab } from '../lab/lab.ts';
import { isOurs, labSuite } from '../lab/requirements.ts';
import { type BuiltProgram, buildProgram } from '../lab/worker-url.ts';

const ADDRESSES = [
  'topology subnet',
  'route-gateway 10.8.0.1',
  'ifconfig 10.8.0.2 255.255.255.0',
  'ifconfig-ipv6 fd00:8::1000/64 fd00:8::1',
  'dhcp-option DNS 10.8.0.1',
  'dhcp-option DOMAIN office.example',
];
const FILE =
  "printf 'nameserver 192.0.2.1\\nsearch home.example\\n' >/etc/resolv.conf; chown 7:8 /etc/resolv.conf; chmod 640 /etc/resolv.conf";
const LINK = 'ln -s ../run/elsewhere/resolv.conf /etc/resolv.conf';

describe.skipIf(!isOurs)('a killed client', () => {
  labSuite('at every step', () => {
    const lab = useLab();
    let program: BuiltProgram;
    beforeAll(async () => {
      program = await buildProgram('test/interop/killed-host-main.ts');
    });
    afterAll(() => program.remove());

    it.each([
      ['redirect-gateway, resolv.conf a file with owner and mode', FILE, ['redirect-gateway ipv6']],
      [
        'redirect-gateway def1, resolv.conf a link',
        LINK,
        ['redirect-gateway def1 ipv6', 'route 10.98.0.0 255.255.0.0 net_gateway 7'],
      ],
      ['routes of its own, no resolv.conf', ':', ['route 10.77.0.0 255.255.0.0', 'route-ipv6 fd00:98::/48']],
    ])(
      'is put right: %s',
      async (_, resolvConf, lines) => {
        const etc = await lab().directory('etc');
        const host = await lab().file(
          'host.sh',
          `set -e
umount -l /etc/resolv.conf /etc/hosts
mount --bind ${etc} /etc
${resolvConf}
exec "$@"
`,
        );
        const { stdout } = await lab().net.client.run(
          [
            'unshare',
            '-m',
            'sh',
            host,
            process.execPath,
            program.path,
            'every',
            JSON.stringify([...ADDRESSES, ...lines]),
          ],
          { timeoutMs: 150_000 },
        );
        const { moments, wrong } = JSON.parse(stdout || '{}');
        expect(wrong).toEqual([]);
        expect(moments).toBeGreaterThan(40);
      },
      180_000,
    );
  });
});
