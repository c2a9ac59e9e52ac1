// What clients are given: by files, by programs, by the hook, from the pool; and what programs are told.

import { describe, expect, it } from 'vitest';
import type { AddressChange, ConnectDecision } from '../../src/server/hooks.ts';
import type { LabClient } from '../lab/lab-client.ts';
import { addressOf, exited, ServerLab } from '../lab/server-lab.ts';

const CREDENTIALS = { username: 'max', password: 'secret' };
const PASSWORDS = ['script-security 2', 'auth-user-pass-verify /verify via-env'];
const CONNECT = ['script-security 2', 'client-connect /connect', 'client-disconnect /disconnect'];
const LEARN = ['script-security 2', 'learn-address /learn'];

type Environment = Readonly<Record<string, string>>;

async function decided(lab: ServerLab, client: LabClient): Promise<string> {
  await lab.until(() => client.isUp || client.end !== undefined, 'it is decided', 200_000);
  if (client.isUp) return 'up';
  await lab.runFor(10_000);
  expect(lab.kept).toBe(0);
  return `refused ${client.refused ?? ''}`.trim();
}

const never = () => new Promise<never>(() => {});
const path = (environment: Environment, name: string): string => environment[name] ?? '';

describe('auth-user-pass-verify', () => {
  /** What the program does with its files, and how it exits; `later` happens after some seconds. */
  it.each<[string, (files: Map<string, string>, environment: Environment) => number, string, string | undefined]>([
    ['exit 0', () => 0, 'up', undefined],
    ['exit 1', () => 1, 'refused', undefined],
    ['exit 77', () => 77, 'refused', undefined],
    [
      'exit 1 with a reason',
      (files, environment) => {
        files.set(path(environment, 'auth_failed_reason_file'), 'go\taway\nreally');
        return 1;
      },
      'refused go away',
      undefined,
    ],
    ['a deferred 1', () => 2, 'up', '1'],
    ['a deferred 0', () => 2, 'refused', '0'],
    ['garbage, then nothing', () => 2, 'refused', 'yes please'],
    ['a promise that is never kept', () => 2, 'refused', undefined],
    [
      'a pending file of too few lines',
      (files, environment) => {
        files.set(path(environment, 'auth_pending_file'), '20\nwebauth');
        return 2;
      },
      'refused',
      '1',
    ],
    [
      'a pending file with a method that the client has not',
      (files, environment) => {
        files.set(path(environment, 'auth_pending_file'), '20\nmagic\nx');
        return 2;
      },
      "refused Authentication failed, required pending auth method 'magic' not supported",
      '1',
    ],
    [
      'a pending file',
      (files, environment) => {
        files.set(path(environment, 'auth_pending_file'), '20\nopenurl\nOPEN_URL:https://example.com/');
        return 2;
      },
      'up',
      '1',
    ],
  ])('that says %s', async (_how, program, fate, later) => {
    const lab = new ServerLab(PASSWORDS);
    lab.script = async (_argv, environment) => {
      const control = path(environment, 'auth_control_file');
      if (later !== undefined) {
        lab.clock.happens(lab.clock.nowMs + 3500, () => {
          if (lab.files.has(control)) lab.files.set(control, later);
        });
      }
      return exited(program(lab.files, environment));
    };
    await lab.up();
    const ann = lab.connect('ann', { credentials: CREDENTIALS });
    expect(await decided(lab, ann)).toBe(fate);
    expect(await lab.gone()).toEqual({});
  });

  it('leaves no file behind when the server is reloaded while it runs, and then ends', async () => {
    const lab = new ServerLab(['script-security 2', 'auth-user-pass-verify /verify via-file']);
    lab.script = () =>
      new Promise((resolve) => void lab.clock.happens(lab.clock.nowMs + 50_000, () => resolve(exited(0))));
    await lab.up();
    lab.connect('ann', { credentials: CREDENTIALS });
    await lab.until(() => lab.ran.length === 1, 'it runs');
    expect([...lab.files.values()].join()).toContain('secret');
    lab.server.reload(lab.server.config);
    lab.server.signal('SIGTERM');
    await lab.until(() => lab.end !== undefined, 'it ends');
    expect([...lab.files.keys()]).toEqual([]);
  });

  it('that hangs is ended, and delays only its client', async () => {
    const lab = new ServerLab(PASSWORDS);
    lab.script = (_argv, { common_name }) => (common_name === 'ann' ? never() : Promise.resolve(exited(0)));
    await lab.up();
    const ann = lab.connect('ann', { credentials: CREDENTIALS });
    await lab.runFor(1000);
    await lab.connected('bob', { credentials: CREDENTIALS });
    await lab.until(() => ann.end !== undefined || lab.lines(/Delayed exit/).length > 0, 'it is decided', 62_000);
    expect(lab.names).toEqual(['bob']);
    expect(await lab.gone()).toEqual({});
  });

  it('is not asked about a client that says no password, who is refused', async () => {
    const lab = await new ServerLab(PASSWORDS).up();
    expect(await decided(lab, lab.connect('ann'))).toMatch(/^refused/);
    expect(lab.ran).toEqual([]);
    expect(lab.lines(/Auth Username\/Password was not provided by peer/)).toHaveLength(1);
  });

  it('may not be run without script-security 2, and lets nobody in then', async () => {
    const lab = await new ServerLab(['script-security 1', 'auth-user-pass-verify /verify via-env']).up();
    expect(await decided(lab, lab.connect('ann', { credentials: CREDENTIALS }))).toMatch(/^refused/);
    expect(lab.ran).toEqual([]);
  });

  it('and the hook must both agree', async () => {
    for (const [script, hook, fate] of [
      [0, true, 'up'],
      [0, false, 'refused'],
      [1, true, 'refused'],
    ] as const) {
      const lab = new ServerLab(PASSWORDS, { hooks: { onAuthenticate: () => hook } });
      lab.script = async () => exited(script);
      await lab.up();
      expect(await decided(lab, lab.connect('ann', { credentials: CREDENTIALS }))).toBe(fate);
    }
  });

  it('never sees a control character of a user name or password, nor does the log', async () => {
    const lab = new ServerLab(['script-security 3', 'auth-user-pass-verify /verify via-file']);
    let text = '';
    lab.script = async (argv) => {
      text = lab.files.get(argv.at(-1) ?? '') ?? '';
      return exited(0);
    };
    await lab.up();
    const credentials = { username: '../$(id)\n\x1b[2Jx', password: 'a\nb\x7fc' };
    await lab.connected('ann', { credentials });
    expect(text).toBe('../$(id)__[2Jx\na_b_c\n');
    expect(lab.ran[0]?.argv.slice(0, 1)).toEqual(['/verify']);
    expect(Object.values(lab.ran[0]?.environment ?? {}).join('')).not.toMatch(/[\0-\x1f\x7f]/);
    expect(lab.log.join('')).not.toMatch(/[\0-\x1f\x7f]/);
    expect(await lab.gone()).toEqual({});
  });
});

describe('programs that clients cause', () => {
  const ALL = [...PASSWORDS, 'client-disconnect /disconnect', 'learn-address /learn', 'tls-verify /tls'];
  const bad = { username: 'eve', password: 'guess' };
  const named = (lab: ServerLab, program: string) => lab.ran.filter(({ argv }) => argv[0] === program);

  async function besieged(lines: readonly string[], strangers: number): Promise<{ lab: ServerLab; ann: LabClient }> {
    const lab = new ServerLab(lines);
    lab.script = (argv, { username }) =>
      argv[0] === '/verify' && username === 'eve' ? never() : Promise.resolve(exited(0));
    await lab.up();
    const ann = await lab.connected('ann', { credentials: CREDENTIALS });
    for (let index = 0; index < strangers; index++) lab.connect(`stranger ${index}`, { credentials: bad });
    await lab.runFor(5000);
    return { lab, ann };
  }

  it('are sixteen at once, however many strangers come; client-disconnect and learn-address don’t wait for them', async () => {
    const { lab, ann } = await besieged(ALL, 40);
    expect(named(lab, '/verify')).toHaveLength(1 + 16);
    ann.session.sendExit(lab.clock.now());
    await lab.until(() => named(lab, '/disconnect').length === 1, 'client-disconnect runs', 10_000);
    await lab.until(() => named(lab, '/learn').length === 2, 'learn-address delete runs', 10_000);
    await lab.until(() => lab.kept === 0, 'the strangers are refused', 90_000);
    expect(named(lab, '/verify')).toHaveLength(1 + 16);
    await lab.connected('bob', { credentials: CREDENTIALS });
    expect(await lab.gone()).toEqual({});
  });

  it('are stopped when the server ends, those that follow from its end are not', async () => {
    const { lab } = await besieged(ALL, 20);
    const hanging = named(lab, '/verify').slice(1);
    expect(hanging.map(({ signal }) => signal?.aborted)).toEqual(Array(16).fill(false));
    const beforeMs = lab.clock.nowMs;
    // Programs in the lab end by their own time only.
    lab.server.signal('SIGTERM');
    await lab.until(() => lab.end !== undefined, 'the server ends');
    expect(lab.clock.nowMs - beforeMs).toBeLessThan(6000);
    expect(hanging.map(({ signal }) => signal?.aborted)).toEqual(Array(16).fill(true));
    expect(named(lab, '/verify')).toHaveLength(17);
    const last = [...named(lab, '/disconnect'), ...named(lab, '/learn')];
    expect(last.length).toBeGreaterThanOrEqual(2);
    expect(last.map(({ signal }) => signal)).toEqual(last.map(() => undefined));
  });

  it('whose answer is too long are told of in the log', async () => {
    const lab = new ServerLab(PASSWORDS);
    lab.script = async (_argv, environment) => {
      lab.files.set(path(environment, 'auth_control_file'), '1'.repeat(70_000));
      return exited(2);
    };
    await lab.up();
    expect(await decided(lab, lab.connect('ann', { credentials: CREDENTIALS }))).toMatch(/^refused/);
    expect(lab.lines(/openvpn_acf_\S+ is too long/)).toHaveLength(1);
    expect(await lab.gone()).toEqual({});
  });
});

describe('client-connect', () => {
  const connected = async (program: (lab: ServerLab, environment: Environment) => Promise<number>) => {
    const lab = new ServerLab(CONNECT);
    lab.script = async (argv, environment) => exited(argv[0] === '/connect' ? await program(lab, environment) : 0);
    await lab.up();
    const ann = lab.connect('ann');
    return { lab, ann };
  };

  it('says what the client gets', async () => {
    const { lab, ann } = await connected(async (lab, environment) => {
      const text =
        'ifconfig-push 10.8.0.77 255.255.255.0\niroute 192.168.9.0 255.255.255.0\npush "route 10.2.0.0"\nnonsense\n';
      lab.files.set(path(environment, 'client_connect_config_file'), text);
      return 0;
    });
    expect(await decided(lab, ann)).toBe('up');
    expect(ann.tunnelAddress).toBe('10.8.0.77');
    expect(ann.pushed).toContain('route 10.2.0.0');
    expect(lab.list[0]?.routes).toEqual(['192.168.9.0/24']);
    expect(lab.lines(/Unrecognized option .*nonsense/)).toHaveLength(1);
    ann.sendPacket('10.8.0.1', '192.168.9.5');
    await lab.runFor(100);
    expect(lab.inner()).toEqual(['192.168.9.5 > 10.8.0.1']);
    const next = await lab.connected('bob', { address: addressOf('192.0.2.99', 9) }).catch(() => undefined);
    expect(next).toBeDefined();
    expect(await lab.gone()).toEqual({});
    expect(lab.ran.filter(({ argv }) => argv[0] === '/disconnect')).toHaveLength(2);
  });

  it.each([
    ['exit 1', 1, undefined, 'refused'],
    ['a deferred 1', 0, '1', 'up'],
    ['a deferred 0', 0, '0', 'refused'],
    ['a promise that is never kept', 0, '2', 'refused'],
  ])('that answers %s', async (_how, exitCode, later, fate) => {
    const { lab, ann } = await connected(async (lab, environment) => {
      const file = path(environment, 'client_connect_deferred_file');
      if (later !== undefined) {
        lab.files.set(file, '2');
        lab.clock.happens(lab.clock.nowMs + 2500, () => {
          if (lab.files.has(file)) lab.files.set(file, later);
        });
      }
      return exitCode;
    });
    expect(await decided(lab, ann)).toBe(fate);
    expect(await lab.gone()).toEqual({});
    expect(lab.ran.filter(({ argv }) => argv[0] === '/disconnect')).toHaveLength(1);
  });

  it('that answers when its client is gone does not take an address from the client that has it now', async () => {
    const later: (() => void)[] = [];
    const asked: (string | undefined)[] = [];
    const lab = new ServerLab(CONNECT, { hooks: { onConnect: ({ commonName }) => void asked.push(commonName) } });
    lab.script = (argv, { common_name, client_connect_config_file: file = '' }) =>
      new Promise((resolve) => {
        if (argv[0] !== '/connect' || common_name !== 'ann') return resolve(exited(0));
        later.push(() => {
          if (lab.files.has(file)) lab.files.set(file, 'ifconfig-push 10.8.0.77 255.255.255.0');
          resolve(exited(0));
        });
      });
    await lab.up();
    const ann = lab.connect('ann');
    await lab.until(() => later.length === 1, 'ann waits');
    lab.connect('ann', { address: ann.address });
    await lab.until(() => later.length === 2, 'ann is back and waits');
    const [first, second] = later;
    ann.silent = true;
    second?.();
    await lab.until(() => lab.names.length === 1, 'ann is in');
    await lab.connected('bob');
    first?.();
    await lab.runFor(1000);
    await lab.connected('eve');
    expect(new Set(lab.list.map(({ address4 }) => address4)).size).toBe(3);
    expect(asked).toEqual(['ann', 'bob', 'eve']);
    expect(await lab.gone()).toEqual({});
  });

  it('waits for client-disconnect of the client that it was before, which keeps its address until then', async () => {
    const lab = new ServerLab(CONNECT);
    let slow = (): void => {};
    lab.script = (argv) =>
      argv[0] === '/connect'
        ? Promise.resolve(exited(0))
        : new Promise((resolve) => {
            slow = () => resolve(exited(0));
          });
    await lab.up();
    await lab.connected('ann');
    const again = lab.connect('ann');
    await lab.runFor(3000);
    expect(lab.ran.map(({ argv }) => argv[0])).toEqual(['/connect', '/disconnect']);
    const bob = await lab.connected('bob');
    slow();
    await lab.until(() => again.isUp, 'ann is in again');
    expect(lab.ran.map(({ argv }) => argv[0])).toEqual(['/connect', '/disconnect', '/connect', '/connect']);
    expect(lab.list.find(({ name }) => name === 'bob')?.address4).toBe('10.8.0.3');
    expect(bob.isUp).toBe(true);
  });

  it('is ended before client-disconnect begins', async () => {
    const lab = new ServerLab(CONNECT);
    let slow = (): void => {};
    lab.script = (argv, environment) =>
      argv[0] === '/disconnect' || path(environment, 'common_name') !== 'ann'
        ? Promise.resolve(exited(0))
        : new Promise((resolve) => {
            slow = () => resolve(exited(0));
          });
    const told = () => lab.ran.map(({ argv, environment }) => `${argv[0]} ${path(environment, 'common_name')}`);
    await lab.up();
    const ann = lab.connect('ann');
    await lab.until(() => lab.ran.length === 1, 'its program runs');
    lab.connect('other', { address: ann.address });
    ann.silent = true;
    await lab.until(() => lab.names[0] === 'other', 'another client is at its address');
    await lab.runFor(3000);
    expect(told()).toEqual(['/connect ann', '/connect other']);
    slow();
    await lab.runFor(100);
    expect(told()).toEqual(['/connect ann', '/connect other', '/disconnect ann']);
  });

  it('is followed by client-disconnect, whose failure is written down and nothing else', async () => {
    const lab = new ServerLab(CONNECT);
    lab.script = async (argv) => {
      if (argv[0] === '/disconnect') throw new Error('no such program');
      return exited(0);
    };
    await lab.up();
    const ann = await lab.connected('ann');
    ann.session.sendExit(lab.clock.now());
    await lab.runFor(10_000);
    expect(lab.kept).toBe(0);
    expect(lab.lines(/no such program/)).toHaveLength(1);
    expect(await lab.gone()).toEqual({});
  });
});

describe('learn-address', () => {
  const learned = (lab: ServerLab) => lab.ran.map(({ argv }) => argv.slice(1).join(' '));

  it('hears of an address when it comes and when it is forgotten', async () => {
    const lab = await new ServerLab(LEARN).up();
    const ann = await lab.connected('ann');
    ann.session.sendExit(lab.clock.now());
    await lab.runFor(20_000);
    expect(learned(lab)).toEqual(['add 10.8.0.2 ann', 'delete 10.8.0.2']);
  });

  it('that takes an address down for a client that left while it was being told of it', async () => {
    let slow = (): void => {};
    const lab = new ServerLab(LEARN);
    lab.script = (argv) =>
      argv[3] !== 'ann'
        ? Promise.resolve(exited(0))
        : new Promise((resolve) => {
            slow = () => resolve(exited(0));
          });
    await lab.up();
    const ann = lab.connect('ann');
    await lab.until(() => lab.ran.length === 1, 'the address is being learned');
    lab.connect('other', { address: ann.address });
    ann.silent = true;
    await lab.until(() => lab.names[0] === 'other', 'another client is at its address');
    await lab.runFor(10_000);
    slow();
    await lab.runFor(10_000);
    expect(learned(lab)).toEqual(['add 10.8.0.2 ann', 'add 10.8.0.3 other', 'delete 10.8.0.2']);
    expect(await lab.gone()).toEqual({});
  });

  it('and is heard out by a server that ends', async () => {
    const lab = new ServerLab(LEARN);
    lab.script = (argv) =>
      argv[1] === 'delete'
        ? Promise.resolve(exited(0))
        : new Promise((resolve) => void lab.clock.happens(lab.clock.nowMs + 3000, () => resolve(exited(0))));
    await lab.up();
    lab.connect('ann');
    await lab.until(() => lab.ran.length === 1, 'the address is being learned');
    lab.server.signal('SIGTERM');
    await lab.until(() => lab.end !== undefined, 'it ends');
    expect(learned(lab)).toEqual(['add 10.8.0.2 ann', 'delete 10.8.0.2']);
  });

  it('that refuses leaves the client without the address', async () => {
    const lab = new ServerLab(LEARN);
    lab.script = async () => exited(1);
    await lab.up();
    const ann = await lab.connected('ann');
    ann.sendPacket('10.8.0.1');
    await lab.runFor(100);
    expect(lab.inner()).toEqual([]);
    expect(lab.lines(/MULTI: Learn:/)).toEqual([]);
  });

  it('that still removes an address is waited for before the address is learned again', async () => {
    let slow = (): void => {};
    const lab = new ServerLab(LEARN);
    lab.script = (argv) =>
      argv[1] !== 'delete'
        ? Promise.resolve(exited(0))
        : new Promise((resolve) => {
            slow = () => resolve(exited(0));
          });
    await lab.up();
    const ann = await lab.connected('ann');
    ann.session.sendExit(lab.clock.now());
    await lab.until(() => lab.ran.length === 2, 'the address is being removed');
    const again = lab.connect('ann');
    await lab.runFor(2000);
    expect(learned(lab)).toEqual(['add 10.8.0.2 ann', 'delete 10.8.0.2']);
    slow();
    await lab.until(() => again.isUp, 'ann is back');
    expect(learned(lab).at(-1)).toBe('add 10.8.0.2 ann');
  });

  it('that answers when its client is gone does not take the address from the client that has it now', async () => {
    const later: (() => void)[] = [];
    const lab = new ServerLab([...LEARN, 'client-config-dir ccd']);
    for (const name of ['ann', 'bob']) lab.files.set(`ccd/${name}`, 'ifconfig-push 10.8.0.50 255.255.255.0');
    lab.script = (argv) =>
      new Promise((resolve) => {
        if (argv[3] === 'ann') later.push(() => resolve(exited(0)));
        else resolve(exited(0));
      });
    await lab.up();
    const ann = lab.connect('ann');
    await lab.until(() => later.length === 1, 'ann waits');
    lab.connect('other', { address: ann.address });
    await lab.until(() => lab.names[0] === 'other', 'another client is at its address');
    ann.silent = true;
    const bob = await lab.connected('bob');
    later[0]?.();
    await lab.runFor(10_000);
    bob.sendPacket('10.8.0.1');
    await lab.runFor(100);
    expect(lab.inner()).toEqual(['10.8.0.50 > 10.8.0.1']);
  });
});

describe('onConnect', () => {
  const given = async (decision: ConnectDecision) => {
    const lab = await new ServerLab([], { hooks: { onConnect: () => decision } }).up();
    const ann = lab.connect('ann');
    return { lab, ann, fate: await decided(lab, ann) };
  };

  it('gives address, options, routes and lines', async () => {
    const { lab, ann } = await given({
      address4: '10.8.0.50',
      push: ['route 10.2.0.0 255.255.0.0', 'setenv-safe say "hi"\nroute 0.0.0.0'],
      routes: ['192.168.9.0/24'],
      options: 'push "dhcp-option DNS 10.8.0.1"',
    });
    expect(ann.pushed).toEqual(expect.arrayContaining(['route 10.2.0.0 255.255.0.0', 'dhcp-option DNS 10.8.0.1']));
    expect(ann.tunnelAddress).toBe('10.8.0.50');
    expect(lab.list[0]).toMatchObject({ address4: '10.8.0.50', routes: ['192.168.9.0/24'] });
  });

  it('who is refused has never been there: nobody hears that it left', async () => {
    const refused = await given(false);
    await refused.lab.runFor(10_000);
    expect(refused.lab.told).toEqual([]);
    const { lab } = await given(true);
    expect(lab.told).toEqual(['connected ann']);
    void lab.server.kick(lab.list[0]!.id, 'never', 'closing time');
    await lab.runFor(10_000);
    expect(lab.told).toEqual(['connected ann', 'disconnected ann kicked']);
  });

  it.each<[string, ConnectDecision, string]>([
    ['nothing', undefined, 'up'],
    ['true', true, 'up'],
    ['false', false, 'refused'],
    ['a reason', { accept: false, reason: 'full' }, 'refused full'],
    ['an address that is none', { address4: 'ten' }, 'refused'],
    ['an IPv6 address that is none', { address6: '10.8.0.1' }, 'refused'],
    ['a network that is none', { routes: ['all'] }, 'refused'],
    ['an address with a line behind it', { address4: '10.8.0.5\npush "route 0.0.0.0"' }, 'refused'],
  ])('that says %s', async (_what, decision, fate) => {
    expect((await given(decision)).fate).toBe(fate);
  });

  it.each<[string, (lab: ServerLab, ann: LabClient) => void]>([
    ['closes its stream', (lab, ann) => lab.closeStream(ann)],
    [
      'falls silent',
      (_lab, ann) => {
        ann.silent = true;
      },
    ],
  ])('learns by its signal that its client is gone: one that %s', async (_how, leave) => {
    const signals = new Map<string | undefined, AbortSignal>();
    const lab = await new ServerLab(['proto tcp-server'], {
      hooks: {
        onConnect: ({ commonName }, { signal }) => {
          signals.set(commonName, signal);
          return commonName === 'ann' ? never() : undefined;
        },
      },
    }).up();
    const ann = lab.connect('ann', { transport: 'tcp' });
    await lab.connected('bob', { transport: 'tcp' });
    await lab.runFor(1000);
    expect(signals.get('ann')?.aborted).toBe(false);
    leave(lab, ann);
    await lab.until(() => signals.get('ann')?.aborted === true, 'the signal aborts', 80_000);
    expect(signals.get('bob')?.aborted).toBe(false);
    expect(lab.names).toEqual(['bob']);
    expect(await lab.gone()).toEqual({});
  });

  it('and the others that hang or fail concern their client alone', async () => {
    const ends: string[] = [];
    const changes: AddressChange[] = [];
    const lab = await new ServerLab([], {
      hooks: {
        onConnect: ({ commonName }) => (commonName === 'hangs' ? never() : undefined),
        onAddress: (change) => {
          changes.push(change);
          if (change.client?.name === 'bob') throw new Error('onAddress broke');
          return never();
        },
        onDisconnect: (client, reason) => {
          ends.push(`${client.name} ${reason}`);
          if (client.name === 'bob') throw new Error('onDisconnect broke');
          if (client.name === 'eve') return Promise.reject(new Error('onDisconnect failed'));
          return undefined;
        },
      },
    }).up();
    const hangs = lab.connect('hangs');
    const clients = [await lab.connected('bob'), await lab.connected('eve')];
    await lab.until(() => hangs.end !== undefined, 'the one that hangs is refused', 62_000);
    await lab.runFor(10_000);
    for (const client of clients) client.session.sendExit(lab.clock.now());
    await lab.runFor(20_000);
    expect(lab.kept).toBe(0);
    expect(ends).toEqual(['hangs delayed-exit', 'bob remote-exit', 'eve remote-exit']);
    expect(lab.lines(/broke|onDisconnect failed/)).toHaveLength(3);
    expect(changes.map(({ type, prefix }) => `${type} ${prefix}`)).toEqual([
      'add 10.8.0.3/32',
      'add 10.8.0.4/32',
      'delete 10.8.0.3/32',
      'delete 10.8.0.4/32',
    ]);
    expect(await lab.gone()).toEqual({});
  });
});

describe('client-config-dir', () => {
  it.each([
    ['ann', 'ccd/ann'],
    ['../../etc/passwd', 'ccd/.._.._etc_passwd'],
    ['/etc/passwd', 'ccd/_etc_passwd'],
    ['a\0b', 'ccd/a_b'],
    ['a\nb', 'ccd/a_b'],
    ['..', 'ccd/DEFAULT'],
    ['.', 'ccd/DEFAULT'],
    ['DEFAULT', 'ccd/DEFAULT'],
    ['x'.repeat(300), 'ccd/DEFAULT'],
  ])('of a client with the name %j has %j', async (name, file) => {
    const lab = new ServerLab(['client-config-dir ccd'], { hooks: { onAuthenticate: () => ({ accept: true, name }) } });
    lab.files.set('ccd/DEFAULT', 'push "setenv-safe from ccd/DEFAULT"');
    if (file !== 'ccd/DEFAULT') lab.files.set(file, `push "setenv-safe from ${file}"`);
    lab.files.set('/etc/passwd', 'disable');
    lab.files.set('ccd/..', 'disable');
    await lab.up();
    const ann = lab.connect('ann');
    expect(await decided(lab, ann)).toBe('up');
    expect(ann.pushed).toContain(`setenv-safe from ${file}`);
    for (const asked of lab.paths) expect(asked).toMatch(/^ccd\/[^/\0]+$/);
  });

  it('refuses who is disabled, and who has no file under ccd-exclusive', async () => {
    const lab = new ServerLab(['client-config-dir ccd', 'ccd-exclusive']);
    lab.files.set('ccd/ann', '');
    lab.files.set('ccd/bob', 'disable');
    lab.files.set('ccd/DEFAULT', '');
    await lab.up();
    expect(await decided(lab, lab.connect('bob'))).toBe('refused');
    expect(await decided(lab, lab.connect('eve'))).toBe('refused');
    expect(lab.lines(/--client-config-dir authentication failed for common name 'eve'/)).toHaveLength(1);
    expect(await decided(lab, lab.connect('ann'))).toBe('up');
  });
});

describe('the pool', () => {
  it('that is empty leaves a client without an address, and gives the next one that is free', async () => {
    const lab = await new ServerLab([
      'mode server',
      'tls-server',
      'ifconfig 10.8.0.1 255.255.255.0',
      'ifconfig-pool 10.8.0.2 10.8.0.3 255.255.255.0',
    ]).up();
    const clients = [await lab.connected('a'), await lab.connected('b'), await lab.connected('c')];
    expect(clients.map(({ tunnelAddress }) => tunnelAddress)).toEqual(['10.8.0.2', '10.8.0.3', undefined]);
    expect(lab.lines(/no free --ifconfig-pool addresses/)).toHaveLength(1);
    clients[0]?.session.sendExit(lab.clock.now());
    await lab.until(() => lab.kept === 2, 'one has gone');
    expect((await lab.connected('d')).tunnelAddress).toBe('10.8.0.2');
    expect(await lab.gone()).toEqual({});
  });

  it('is remembered in its file over a restart', async () => {
    const lines = ['ifconfig-pool-persist pool.txt 60'];
    const lab = await new ServerLab(lines).up();
    await lab.connected('ann');
    await lab.connected('bob');
    await lab.runFor(61_000);
    expect(lab.files.get('pool.txt')).toBe('ann,10.8.0.2,\nbob,10.8.0.3,\n');
    expect(await lab.gone()).toEqual({});
    const next = new ServerLab(lines);
    next.files.set('pool.txt', lab.files.get('pool.txt') ?? '');
    await next.up();
    expect((await next.connected('bob')).tunnelAddress).toBe('10.8.0.3');
  });
});
