import { describe, expect, it } from 'vitest';
import { parsePush } from '../../src/config/push.ts';
import { Host } from '../../src/tunnel/host.ts';
import { clientConfig, SUCCESS } from '../lab/client-lab.ts';
import { certificateOf } from '../lab/deterministic-tls.ts';
import { FakeHost } from './fake-host.ts';

const SCRIPTS = [
  'script-security 2',
  'up /etc/up.sh',
  'down /etc/down.sh',
  'route-up /etc/route-up.sh',
  'route-pre-down /etc/pre-down.sh',
  'ipchange /etc/ipchange.sh',
  'tls-verify /etc/verify.sh',
];
const PUSHED = [
  'topology subnet',
  'ifconfig 10.8.0.2 255.255.255.0',
  'route-gateway 10.8.0.1',
  'route 10.20.0.0 255.255.0.0',
];
const OPENING = ['open tun', 'mtu tun0 1500', 'up tun0', 'address 10.8.0.2/24 tun0'];
const remote = { family: 4, address: Uint8Array.of(198, 51, 100, 1), port: 1194, scopeId: 0 } as const;
const TERM = { signal: 'SIGTERM', signalText: '', keep: false };
const RESTART = { signal: 'SIGUSR1', signalText: 'ping-restart', keep: true };

/** A host with recorded ports: what was asked of it, scripts and letting go among it, in one row. */
function bench(...lines: readonly string[]) {
  const config = clientConfig('remote 198.51.100.1', ...lines.filter((line) => line !== 'down-root'));
  const fake = new FakeHost();
  const before = fake.state();
  const log: string[] = [];
  const scripts: { readonly argv: readonly string[]; readonly environment: Readonly<Record<string, string>> }[] = [];
  const privileges: string[] = [];
  let failing = '';
  const certificates = { written: [] as string[], full: false };
  const host = new Host(config, {
    certificateFiles: {
      directory: '/exported',
      write: (pem) => {
        certificates.written.push(String(pem));
        return certificates.full ? undefined : `/exported/${certificates.written.length}`;
      },
      remove: (path) => void fake.calls.push(`remove ${path}`),
    },
    keyFiles: {
      write: (content) => (content.length === 0 ? undefined : `/tmp/key-${Buffer.from(content).toString('hex')}`),
      remove: (path) => void fake.calls.push(`remove ${path}`),
    },
    downRoot: lines.includes('down-root')
      ? [
          {
            arm: ({ dev }) => void fake.calls.push(`arm ${dev}`),
            run: async () => fake.calls.push('down-root') - fake.calls.length,
          },
        ]
      : [],
    devices: fake.device,
    network: fake.network,
    scripts: {
      run: async (argv, environment) => {
        fake.calls.push(`script ${environment.script_type}`);
        scripts.push({ argv, environment });
        return { ...SUCCESS, exitCode: environment.script_type === failing ? 7 : 0 };
      },
    },
    privileges: {
      chroot: (path) => void privileges.push(`chroot ${path}`),
      changeIdentity: ({ user, group }) => {
        privileges.push(`${user}:${group}`);
        return ['CAP_NET_ADMIN'];
      },
    },
    resolver: { resolve: async () => [] },
    log: (_flags, text) => log.push(text),
    pid: 4711,
    startUnixSeconds: 1_800_000_000,
    unique: 'ab12',
    configFile: 'office.ovpn',
  });
  const letGo = async (): Promise<void> => void fake.calls.push('let go');
  const aborter = new AbortController();
  return {
    host,
    fake,
    log,
    scripts,
    privileges,
    certificates,
    letGo,
    failScript: (type: string) => {
      failing = type;
    },
    undone: () => fake.state() === before,
    environmentOf: (type: string) =>
      scripts.filter(({ environment }) => environment.script_type === type).at(-1)!.environment,
    open: (pushed: readonly string[] = PUSHED, letting = letGo) =>
      host.open({
        profile: config.connections[0]!,
        tunnel: parsePush(pushed, config, 'push-reply').tunnel,
        remote,
        letGo: letting,
        signal: aborter.signal,
      }),
    /** Forgets what was asked so far. */
    clear: () => fake.calls.splice(0),
  };
}

describe('the host', () => {
  it('opens the device, sets it up, runs up, then routes and route-up', async () => {
    const { host, fake, open } = bench(...SCRIPTS);
    const opened = await open();
    expect(opened).toMatchObject({ kept: false, name: 'tun0', endpoint: { kind: 'fd', fd: 40 }, mtuBytes: 1500 });
    expect(fake.calls).toEqual([...OPENING, 'script up']);
    expect(await host.route()).toBe(true);
    expect(fake.calls.slice(5)).toEqual(['route 10.20.0.0/16', 'script route-up']);
  });

  it('tells the Ethernet address of a TAP device, and goes on where it is not to be had', async () => {
    const { open } = bench('dev tap');
    expect(await open()).toMatchObject({ layer: 'tap', linkAddress: '02:00:00:00:00:0a' });
    const { open: openTun } = bench();
    expect((await openTun()).linkAddress).toBeUndefined();
    const { open: openSilent, fake, log } = bench('dev tap');
    fake.network.linkAddressOf = () => {
      throw new Error('no such device');
    };
    expect((await openSilent()).linkAddress).toBeUndefined();
    expect(log.join()).toContain('WARNING: the Ethernet address of tap0 is not known: no such device');
  });

  it('undoes everything in reverse, with the plane letting go of the device first', async () => {
    const { host, fake, open, letGo, clear, undone } = bench(...SCRIPTS);
    await open();
    await host.route();
    clear();
    await host.close(TERM, letGo);
    expect(fake.calls).toEqual([
      'let go',
      'script route-pre-down',
      'no route 10.20.0.0/16',
      'no address 10.8.0.2 tun0',
      'close tun0',
      'script down',
    ]);
    expect(undone()).toBe(true);
  });

  it('is undone once, however often it is closed', async () => {
    const { host, fake, open, letGo, clear } = bench();
    await open();
    await host.close(TERM, letGo);
    clear();
    await host.close(TERM, letGo);
    expect(fake.calls).toEqual([]);
  });

  it('is undone even when the plane fails to let go', async () => {
    const { host, open, undone } = bench();
    await open();
    await host.route();
    const fail = () => Promise.reject(new Error('the plane is broken'));
    await expect(host.close(TERM, fail)).rejects.toThrow('the plane is broken');
    expect(undone()).toBe(true);
  });

  it('says that a route was refused, and goes on', async () => {
    const { host, fake, open, log } = bench();
    await open();
    fake.refuse = (call) => (call.startsWith('route ') ? 'EPERM' : undefined);
    expect(await host.route()).toBe(false);
    expect(log).toContain('ERROR: Linux route add command failed: refused (EPERM)');
  });

  it('undoes what was begun and rejects when the device can’t be set up', async () => {
    const { fake, open, undone } = bench(...SCRIPTS);
    fake.refuse = (call) => (call.startsWith('address') ? 'EPERM' : undefined);
    await expect(open()).rejects.toMatchObject({ code: 'SALLYPORT_PERMISSION' });
    expect(undone()).toBe(true);
    expect(fake.calls.filter((call) => call.startsWith('script'))).toEqual([]);
  });

  it('undoes what was begun and rejects when the up script fails, and has nothing left to close', async () => {
    const { host, fake, open, letGo, failScript, undone, clear } = bench(...SCRIPTS);
    failScript('up');
    await expect(open()).rejects.toMatchObject({ code: 'SALLYPORT_SCRIPT' });
    expect(undone()).toBe(true);
    clear();
    await host.close(TERM, letGo);
    expect(fake.calls).toEqual([]);
  });

  it('gives up privileges once, with names for user and group and chroot first', async () => {
    const { host, privileges } = bench('user nobody', 'group nogroup', 'chroot /var/empty', 'persist-tun');
    host.dropPrivileges();
    host.dropPrivileges();
    expect(privileges).toEqual(['chroot /var/empty', 'nobody:nogroup']);
  });
});

describe('persist-tun', () => {
  it('keeps device, addresses and routes where the same is pushed again', async () => {
    const { host, fake, open, letGo, clear, log } = bench(...SCRIPTS, 'persist-tun');
    await open();
    await host.route();
    clear();
    await host.close(RESTART, letGo);
    expect(await open()).toMatchObject({ kept: true, name: 'tun0', endpoint: { kind: 'fd', fd: 40 } });
    expect(fake.calls).toEqual([]);
    expect(log).toContain('Preserving previous TUN/TAP instance: tun0');
  });

  it('does not take what is new in each session for a change', async () => {
    const { host, open, letGo } = bench('persist-tun');
    await open([...PUSHED, 'auth-token SESS_ID_1', 'peer-id 3']);
    await host.route();
    await host.close(RESTART, letGo);
    expect(await open([...PUSHED, 'auth-token SESS_ID_2', 'peer-id 9'])).toMatchObject({ kept: true });
  });

  it('closes the kept device and opens another where something else is pushed', async () => {
    const { host, fake, open, letGo, clear, log } = bench('persist-tun');
    await open();
    await host.route();
    await host.close(RESTART, letGo);
    clear();
    expect(await open([...PUSHED, 'route 10.30.0.0 255.255.0.0'])).toMatchObject({ kept: false });
    expect(fake.calls).toEqual([
      'let go',
      'no route 10.20.0.0/16',
      'no address 10.8.0.2 tun0',
      'close tun0',
      ...OPENING,
    ]);
    expect(log).toContain('NOTE: Pulled options changed on restart, will need to close and reopen TUN/TAP device.');
  });

  it('changes the kept device where rights for another one were given up', async () => {
    const { host, fake, open, letGo, clear, log } = bench('persist-tun', 'user nobody');
    await open();
    await host.route();
    host.dropPrivileges();
    await host.close(RESTART, letGo);
    fake.mayOpen = false;
    clear();
    const other = [...PUSHED.filter((line) => !line.startsWith('ifconfig ')), 'ifconfig 10.9.0.2 255.255.255.0'];
    expect(await open([...other, 'route 10.30.0.0 255.255.0.0'])).toMatchObject({
      kept: true,
      name: 'tun0',
      plan: { address4: { local: '10.9.0.2' } },
    });
    expect(fake.calls).toEqual([
      'no route 10.20.0.0/16',
      'no address 10.8.0.2 tun0',
      'address 10.9.0.2/24 tun0',
      'route 10.20.0.0/16',
      'route 10.30.0.0/16',
    ]);
    expect(log.join()).toMatch(/rights for another device were given up/);
    fake.mayOpen = true;
    await host.close(RESTART, letGo);
    expect(await open()).toMatchObject({ kept: false });
  });

  it('does not keep a tunnel whose routes were never set', async () => {
    const { host, open, letGo, undone } = bench('persist-tun');
    await open();
    await host.close(RESTART, letGo);
    expect(undone()).toBe(true);
    expect(await open()).toMatchObject({ kept: false });
  });

  it('runs down and up on a restart only under up-restart', async () => {
    const { host, fake, open, letGo, clear, environmentOf } = bench(...SCRIPTS, 'persist-tun', 'up-restart');
    await open();
    await host.route();
    clear();
    await host.close(RESTART, letGo);
    await open();
    expect(fake.calls).toEqual(['script down', 'script up']);
    expect(environmentOf('down')).toMatchObject({ script_context: 'restart', signal: 'ping-restart' });
    expect(environmentOf('up')).toMatchObject({ script_context: 'restart' });
    expect(environmentOf('up')).not.toHaveProperty('signal');
  });

  it('undoes everything at the end', async () => {
    const { host, open, letGo, undone } = bench('persist-tun');
    await open();
    await host.route();
    await host.close(RESTART, letGo);
    await open();
    await host.close(TERM, letGo);
    expect(undone()).toBe(true);
  });
});

describe('scripts', () => {
  it('are told more as the connection grows', async () => {
    const { host, open, letGo, environmentOf, scripts } = bench(...SCRIPTS);
    await host.scripts.verifyPeer([certificateOf('server'), certificateOf('Lab CA', { depth: 1 })], remote);
    await host.scripts.ipChange(remote);
    await open();
    await host.route();
    await host.close(TERM, letGo);
    expect(scripts.map(({ environment }) => environment.script_type)).toEqual([
      'tls-verify',
      'tls-verify',
      'ipchange',
      'up',
      'route-up',
      'route-pre-down',
      'down',
    ]);
    expect(environmentOf('tls-verify')).toMatchObject({
      untrusted_ip: '198.51.100.1',
      X509_0_CN: 'server',
      X509_1_CN: 'Lab CA',
    });
    expect(environmentOf('tls-verify')).not.toHaveProperty('trusted_ip');
    expect(environmentOf('ipchange')).toMatchObject({ trusted_ip: '198.51.100.1', trusted_port: '1194' });
    expect(environmentOf('ipchange')).not.toHaveProperty('ifconfig_local');
    expect(environmentOf('up')).toMatchObject({ ifconfig_local: '10.8.0.2', dev: 'tun0', script_context: 'init' });
    expect(environmentOf('route-up')).toMatchObject({ route_network_1: '10.20.0.0', trusted_ip: '198.51.100.1' });
    expect(environmentOf('route-up')).not.toHaveProperty('signal');
    expect(environmentOf('down')).toMatchObject({ signal: 'sigterm', ifconfig_local: '10.8.0.2' });
  });

  it('judge the key that a peer brings by its metadata, in a file that is gone afterwards', async () => {
    const metadata = { type: 1, bytes: Uint8Array.of(0xab, 0xcd) };
    const { host, fake, scripts, failScript, log } = bench('script-security 2', 'tls-crypt-v2-verify "/etc/key.sh x"');
    expect(await host.scripts.verifyKey(metadata)).toBe(true);
    const environment = { script_type: 'tls-crypt-v2-verify', metadata_type: '1', metadata_file: '/tmp/key-abcd' };
    expect(scripts).toEqual([{ argv: ['/etc/key.sh', 'x'], environment }]);
    expect(fake.calls.at(-1)).toBe('remove /tmp/key-abcd');
    failScript('tls-crypt-v2-verify');
    expect(await host.scripts.verifyKey(metadata)).toBe(false);
    expect(log.slice(-3)).toEqual([
      'TLS CRYPT V2 VERIFY SCRIPT OK',
      'WARNING: Failed running command (--tls-crypt-v2-verify): external program exited with error status: 7',
      'TLS CRYPT V2 VERIFY SCRIPT ERROR',
    ]);
  });

  it('judge no key that says nothing, or whose file can not be made; none at all without script-security 2', async () => {
    const { host, scripts, log } = bench('script-security 2', 'tls-crypt-v2-verify /etc/key.sh');
    expect(await host.scripts.verifyKey(undefined)).toBe(false);
    expect(await host.scripts.verifyKey({ type: 0, bytes: new Uint8Array(0) })).toBe(false);
    expect(log.slice(-2)).toEqual(['ERROR: no metadata type', 'ERROR: could not write metadata to file']);
    expect(scripts).toEqual([]);
    const forbidden = bench('tls-crypt-v2-verify /etc/key.sh').host;
    expect(await forbidden.scripts.verifyKey({ type: 0, bytes: Uint8Array.of(1) })).toBe(false);
    expect(await bench().host.scripts.verifyKey(undefined), 'nobody is asked').toBe(true);
  });

  it('verify certificates from the root on, and the first refusal is the last', async () => {
    const chain = [certificateOf('server'), certificateOf('Lab CA', { depth: 1 })];
    const { host, scripts, failScript, log } = bench(...SCRIPTS);
    expect(await host.scripts.verifyPeer(chain, remote)).toBe(true);
    expect(scripts.map(({ argv }) => argv[1])).toEqual(['1', '0']);
    failScript('tls-verify');
    expect(await host.scripts.verifyPeer(chain, remote)).toBe(false);
    expect(scripts).toHaveLength(3);
    expect(log.at(-1)).toBe('VERIFY SCRIPT ERROR: depth=1, C=DE, O=Lab, CN=Lab CA');
  });

  it('find each certificate as a file while they judge it, and refuse where it can’t be written', async () => {
    const chain = [certificateOf('server'), certificateOf('Lab CA', { depth: 1 })];
    const { host, scripts, fake, certificates, log } = bench(...SCRIPTS);
    expect(await host.scripts.verifyPeer(chain, remote)).toBe(true);
    expect(scripts.map(({ environment }) => environment.peer_cert)).toEqual(['/exported/1', '/exported/2']);
    expect(fake.calls.filter((call) => /remove|verify/.test(call))).toEqual([
      ...['script tls-verify', 'remove /exported/1', 'script tls-verify', 'remove /exported/2'],
    ]);
    expect(certificates.written).toEqual([chain[1]?.pem, chain[0]?.pem]);
    certificates.full = true;
    expect(await host.scripts.verifyPeer(chain, remote)).toBe(false);
    expect(scripts).toHaveLength(2);
    expect(log.at(-1)).toBe('TLS Error: Failed to export certificate for --tls-export-cert in /exported');
  });

  it('are told of tracked fields only', async () => {
    const { host, scripts } = bench(...SCRIPTS, 'x509-track +O', 'x509-track CN');
    await host.scripts.verifyPeer([certificateOf('server'), certificateOf('Lab CA', { depth: 1 })], remote);
    const told = Object.entries(scripts[1]?.environment ?? {}).filter(([name]) => name.startsWith('X509_'));
    expect(Object.fromEntries(told)).toEqual({ X509_0_CN: 'server' });
  });

  it('come after the plug-in that keeps root’s rights', async () => {
    const { host, open, fake, letGo } = bench(...SCRIPTS, 'down-root');
    await open();
    await host.route();
    await host.close(TERM, letGo);
    expect(fake.calls.filter((call) => /arm|down-root|script (up|down)/.test(call))).toEqual([
      ...['arm tun0', 'script up', 'down-root', 'script down'],
    ]);
  });

  it('that fail as route-up, ipchange or down do not stop anything', async () => {
    for (const type of ['route-up', 'ipchange', 'down']) {
      const { host, open, letGo, failScript, undone } = bench(...SCRIPTS);
      failScript(type);
      await host.scripts.ipChange(remote);
      await open();
      await host.route();
      await host.close(TERM, letGo);
      expect(undone(), type).toBe(true);
    }
  });

  it('do not run without script-security 2, and those that matter end the program', async () => {
    const { fake, open, undone } = bench('script-security 1', 'up /etc/up.sh');
    await expect(open()).rejects.toMatchObject({ code: 'SALLYPORT_SCRIPT' });
    expect(fake.calls).not.toContain('script up');
    expect(undone()).toBe(true);
  });
});
