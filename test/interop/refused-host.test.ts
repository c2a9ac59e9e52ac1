// A host that takes nothing more: resolv.conf immutable, no room where tunnels, name servers or the journal are kept. What
// it refuses is told with the file and what to do; the tunnel goes on where it can, and nothing half done is left.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { DnsHost, hasResolvers, type Resolver } from '../lab/dns-host.ts';
import { tunnel, useLab } from '../lab/lab.ts';
import { clientCommand, isOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const suite = isOurs && hasResolvers ? labSuite : describe.skip;
const EVERY_NAME = ['dhcp-option DNS 10.8.0.1', 'dhcp-option DOMAIN office.example'];
const SOME_NAMES = ['dns server 1 address 10.8.0.1', 'dns server 1 resolve-domains lab.example'];
/** Where the file system has no such attribute: a mount that nobody may write to. */
const LOCK = `chattr +i /etc/resolv.conf 2>/dev/null || {
mount --bind /etc/resolv.conf /etc/resolv.conf
mount -o remount,bind,ro /etc/resolv.conf
}`;
const UNLOCK = 'chattr -i /etc/resolv.conf 2>/dev/null; umount /etc/resolv.conf 2>/dev/null; true';
const LOCKED = /\/etc\/resolv\.conf can't be changed \((EPERM\): .*chattr -i|EROFS\): .*remount,rw)/;

suite('a host that takes nothing more', () => {
  const lab = useLab();
  let host: DnsHost | undefined;
  afterEach(async () => {
    await host?.run('sh', '-c', UNLOCK);
    await host?.end();
  });

  async function begin(resolver: Resolver = 'file', pushed = EVERY_NAME) {
    await lab().server({ version: '2.6', lines: pushed.map((option) => `push "${option}"`) });
    host = await DnsHost.start(lab(), resolver);
    return { host, before: await host.state() };
  }
  const sh = async (script: string): Promise<string> => (await host?.run('sh', '-c', script)) ?? '';
  const recover = () => sh(`${clientCommand('sallyport').join(' ')} recover 2>&1; echo "exit $?"`);
  /** A tmpfs with room for nothing but what is in it, and for this many more files. */
  const fill = (folder: string, files: number, mode = 711) =>
    sh(`mkdir -p ${folder}; mount -t tmpfs -o size=4k,nr_inodes=${2 + files},mode=${mode} tmpfs ${folder}
head -c 4096 /dev/zero >${folder}/full`);
  const besideResolvConf = async () => (await sh('ls /etc | grep ^resolv')).split('\n').filter(Boolean);

  it('for its resolv.conf is immutable: the tunnel goes on without name servers, and it is said how to end that', async () => {
    const { host, before } = await begin();
    await sh(LOCK);
    const client = await lab().connect({ prefix: host.prefix });
    expect(client.lines.filter((line) => line.includes('WARNING: DNS'))).toEqual([expect.stringMatching(LOCKED)]);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await host.state()).toBe(before);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await besideResolvConf()).toEqual(['resolv.conf']);
    expect(await recover()).toBe('There is nothing to put right.\nexit 0\n');
  });

  it('since its resolv.conf became immutable under the tunnel has it back by recover once it is free again', async () => {
    const { host, before } = await begin();
    const client = await lab().connect({ prefix: host.prefix });
    await sh(LOCK);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(client.lines.filter((line) => line.includes('WARNING: DNS'))).toEqual([
      expect.stringMatching(`DNS is not restored: ${LOCKED.source}.*the next start or sallyport recover`),
    ]);
    expect(await recover()).toMatch(new RegExp(`could not do this: .*${LOCKED.source}.*\\nexit 1\\n`));
    await sh(UNLOCK);
    expect(await recover()).toMatch(/took the name servers of tun0 out of \/etc\/resolv\.conf\nexit 0\n$/);
    expect([await host.state(), await besideResolvConf()]).toEqual([before, ['resolv.conf']]);
  });

  it.each([
    ['no bytes', 9],
    ['no files', 0],
  ])(
    'for there is no room for sockets and logs: up says where, and changes nothing; a plain client needs none (%s)',
    async (_, files) => {
      const { host, before } = await begin();
      await fill('/run/sallyport', files);
      const profiles = join(await lab().directory('desktop'), 'profiles');
      await mkdir(profiles);
      const command = `SALLYPORT_PROFILES=${profiles} ${clientCommand('sallyport').join(' ')}`;
      await sh(`cd ${lab().dir}; ${command} import ${await lab().clientConfig()} --name office`);
      const said = await sh(`cd ${lab().dir}; ${command} up office 2>&1; echo "exit $?"`);
      expect(said).toMatch(/no room left in \/run\/sallyport .*\n.*df \/run\/sallyport.*\nexit 1\n$/);
      expect((await sh('ls /run/sallyport')).trim()).toBe('full');
      const client = await lab().connect({ prefix: host.prefix });
      expect(await host.asks('any.example')).toBe('tunnel');
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      await sh('umount /run/sallyport; rmdir /run/sallyport');
      expect(await host.state()).toBe(before);
    },
  );

  it('for there is no room for the lock on name servers: they are not set, and it is said where room is missing', async () => {
    const { host } = await begin();
    await sh('mount -t tmpfs -o nr_inodes=1,mode=755 tmpfs /run');
    const client = await lab().connect({ prefix: host.prefix });
    expect(client.lines.filter((line) => line.includes('WARNING: DNS'))).toEqual([
      expect.stringMatching(/not set: \/run\/sallyport can't be made \(ENOSPC\): there is no room left in \/run; make/),
    ]);
    expect(await host.asks('any.example')).toBe('local');
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  it('for there is no room to keep what dnsmasq is told', async () => {
    const { host } = await begin('dnsmasq on the bus', SOME_NAMES);
    await fill('/run/sallyport', 9);
    const client = await lab().connect({ prefix: host.prefix });
    expect(await host.asks('a.lab.example')).toBe('local');
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(client.lines.filter((line) => line.includes('WARNING: DNS'))).toEqual([
      expect.stringMatching(/not set: \/run\/sallyport\/dnsmasq\.servers .*ENOSPC.*make some there$/),
    ]);
    expect((await sh('ls /run/sallyport')).trim()).toBe('full');
    expect(await recover()).toBe('There is nothing to put right.\nexit 0\n');
  });

  it.each([
    ['no bytes', 9],
    ['no files', 0],
  ])(
    'for there is no room for the journal: that is one warning, and everything is put back at the end (%s)',
    async (_, files) => {
      const { host, before } = await begin();
      await fill('/var/lib/sallyport', files);
      const client = await lab().connect({ prefix: host.prefix });
      expect(client.count(/WARNING: cannot write down in \/var\/lib\/sallyport\/journal .*ENOSPC/)).toBe(1);
      expect(await host.asks('any.example')).toBe('tunnel');
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      expect(await host.state()).toBe(before);
      expect((await sh('find /var/lib/sallyport -type f')).trim()).toBe('/var/lib/sallyport/full');
      expect(await recover()).toBe('There is nothing to put right.\nexit 0\n');
    },
  );
});
