// Runs inside a namespace with an /etc of its own. `run MOMENT LINES [dns]`: a tunnel is set on the host and taken back, by
// the adapters and the journal of the real client; the process kills itself at the moment of that number, which are: before
// the first and after each call that changes a file or the host, and within calls to a resolver or its program. With `dns`
// those alone are counted that belong to name servers. `every LINES [dns]`: one such run for each moment, and the host after
// each one's recovery compared with the host before, or what a resolver has of it; then one that is killed while everything
// stands, and recovered by the next start. Prints {moments, wrong} as JSON.

import { execFileSync, spawnSync } from 'node:child_process';
import dns from 'node:dns/promises';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseConfig } from '../../src/config/parse.ts';
import type { DnsPlatform } from '../../src/dns/ports.ts';
import { hostPlatform, systemDns } from '../../src/host-dns.ts';
import { createHostJournal } from '../../src/host-journal.ts';
import { createNetlinkPort } from '../../src/linux/netlink.ts';
import { createTunPort } from '../../src/linux/tun.ts';
import { recoverBeforeStart, recoverHost } from '../../src/recover.ts';
import { Host } from '../../src/tunnel/host.ts';
import type { JournalRecord } from '../../src/tunnel/journal.ts';

const SERVER = '198.51.100.1';
/** The moment at which everything stands. */
const UP = -1;
const JOURNALS = '/var/lib/sallyport/journal';

const kill = process.kill.bind(process);

const [verb, ...words] = process.argv.slice(2);
if (verb === 'every') await every(words[0] ?? '[]', words[1] === 'dns');
else await run(Number(words[0]), words[1] ?? '[]', words[2] === 'dns');

async function run(dieAt: number, lines: string, onlyDns: boolean): Promise<void> {
  await recoverBeforeStart((_flags, text) => console.error(text));
  let moments = 0;
  let counts = !onlyDns;
  const moment = (): void => {
    if (counts && moments++ === dieAt) kill(process.pid, 'SIGKILL');
  };
  const counted = <T extends object>(port: T, names: readonly (keyof T & string)[]): T =>
    new Proxy(port, {
      get(target, name) {
        const call = Reflect.get(target, name);
        if (!names.includes(name as keyof T & string)) return typeof call === 'function' ? call.bind(target) : call;
        return (...values: unknown[]) => {
          const result = (call as (...values: unknown[]) => unknown).apply(target, values);
          moment();
          return result;
        };
      },
    });
  for (const name of [
    'writeSync',
    'writeFileSync',
    'ftruncateSync',
    'renameSync',
    'rmSync',
    'unlinkSync',
    'symlinkSync',
    'chownSync',
    'chmodSync',
    'fchownSync',
    'fchmodSync',
    'mkdirSync',
  ] as const) {
    const call = fs[name] as (...values: unknown[]) => unknown;
    Object.assign(fs, {
      [name]: (...values: unknown[]) => {
        // What is not there is not removed.
        const changes = name !== 'rmSync' || fs.lstatSync(String(values[0]), { throwIfNoEntry: false }) !== undefined;
        const result = call(...values);
        if (changes) moment();
        return result;
      },
    });
  }
  syncBuiltinESMExports();
  const text = [
    'client',
    'dev tun',
    `remote ${SERVER}`,
    'auth-user-pass',
    '<ca>',
    'x',
    '</ca>',
    ...(JSON.parse(lines) as string[]),
    '',
  ].join('\n');
  const { config } = parseConfig({ text, file: 'test.conf' }, { readText: () => undefined });
  const [profile] = config?.connections ?? [];
  if (config === undefined || profile === undefined) throw new Error('the lines of the test are no configuration');
  const log = (_flags: unknown, text: string): void => console.error(text);
  const journal = createHostJournal({ profile: 'test.conf', log });
  // Name servers from before the journal tells of them until it says that they are set, or gone.
  let dnsStep = -1;
  const keep = (record: JournalRecord): void => {
    if (onlyDns && record.record === 'begin' && record.step.kind === 'set-dns') {
      dnsStep = record.id;
      counts = true;
      moment();
    }
    journal.keep(record);
    if (record.record !== 'begin' && record.id === dnsStep) counts = false;
  };
  const servers = systemDns('auto', momentary(moment));
  const undo: typeof servers.undo = (applied) => {
    counts = true;
    return servers.undo(applied);
  };
  const host = new Host(config, {
    devices: counted(createTunPort(), ['open', 'close']),
    network: counted(createNetlinkPort(), [
      'setMtu',
      'setLinkUp',
      'addAddress',
      'removeAddress',
      'addRoute',
      'removeRoute',
    ]),
    scripts: { run: () => Promise.resolve({ exitCode: 0, signal: undefined, error: undefined }) },
    dns: { ...servers, undo },
    privileges: { chroot() {}, changeIdentity: () => [] },
    resolver: { resolve: () => Promise.resolve([]) },
    keepRecord: keep,
    log,
    pid: process.pid,
    startUnixSeconds: Math.floor(Date.now() / 1000),
    unique: `${process.pid}-${Date.now()}`,
    configFile: 'test.conf',
  });
  const remote = { family: 4, address: Uint8Array.from(SERVER.split('.'), Number), port: 1194, scopeId: 0 } as const;
  const letGo = (): Promise<void> => Promise.resolve();
  moment();
  await host.open({ profile, tunnel: config.tunnel, remote, letGo, signal: new AbortController().signal });
  await host.route();
  console.log('up');
  if (dieAt === UP) kill(process.pid, 'SIGKILL');
  await host.close({ signal: 'SIGTERM', signalText: '', keep: false }, letGo);
  journal.end();
  console.log(moments);
}

/** This host, with a moment after whatever a call has set off and another one behind its end. */
function momentary(moment: () => void): DnsPlatform {
  const around = async <T>(begun: Promise<T>): Promise<T> => {
    moment();
    const result = await begun;
    moment();
    return result;
  };
  return {
    ...hostPlatform,
    async openBus() {
      const bus = await hostPlatform.openBus();
      return {
        call: (call) => around(bus.call(call)),
        nameOwner: (name) => bus.nameOwner(name),
        close: () => bus.close(),
      };
    },
    run: (argv, input, timeoutMs) => around(hostPlatform.run(argv, input, timeoutMs)),
    hangUp(pid) {
      hostPlatform.hangUp(pid);
      moment();
    },
  };
}

async function every(lines: string, onlyDns: boolean): Promise<void> {
  fs.mkdirSync(JOURNALS, { recursive: true, mode: 0o700 });
  const state = onlyDns ? dnsState : async () => hostState();
  let before = await state();
  // A look at a busy host may have been too short for an answer.
  for (let again = await state(); again !== before; again = await state()) before = again;
  /** What a resolver hears of on its own, as a link that has gone, may take it a moment. */
  const settled = async (): Promise<string> => {
    let now = await state();
    for (let i = 0; now !== before && i < 100; i++) {
      await delay(100);
      now = await state();
    }
    return now;
  };
  const once = start('-2', lines, onlyDns);
  const moments = Number(once.stdout.split('\n')[1]);
  const wrong: unknown[] = [];
  const compare = async (what: object, isRight = true): Promise<void> => {
    const after = await settled();
    const journals = fs.readdirSync(JOURNALS);
    if (!isRight || after !== before || journals.length > 0) wrong.push({ ...what, before, after, journals });
  };
  await compare({ moment: 'whole', stderr: once.stderr });
  for (let at = 0; at < moments && wrong.length < 3; at++) {
    const { signal } = start(String(at), lines, onlyDns);
    const { processes, problems, elsewhere } = await recoverHost({ dryRun: false });
    const again = await recoverHost({ dryRun: false });
    const failed = processes.flatMap(({ changes }) => changes).filter(({ result }) => result !== 'restored');
    const isRight = signal === 'SIGKILL' && failed.length + problems.length + elsewhere + again.processes.length === 0;
    await compare({ moment: at, signal, failed, problems, again }, isRight);
  }
  const up = start(String(UP), lines, onlyDns);
  const stood = await state();
  const next = start('-2', lines, onlyDns);
  await compare({ moment: 'up, and the next start', stderr: [up.stderr, next.stderr], stood }, stood !== before);
  console.log(JSON.stringify({ moments, wrong }));
}

function start(at: string, lines: string, onlyDns: boolean) {
  const argv = [process.argv[1] ?? '', 'run', at, lines, ...(onlyDns ? ['dns'] : [])];
  const { signal, stdout, stderr } = spawnSync(process.execPath, argv, {
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGTERM',
  });
  return { signal, stdout, stderr };
}

/** All of the host that a tunnel may change. */
function hostState(): string {
  const ip = (family: string, input: string): string =>
    execFileSync('ip', [family, '-batch', '-'], { encoding: 'utf8', input });
  return [
    ip('-4', 'link show\naddr show\nroute show table all\nrule show\n'),
    ip('-6', 'addr show\nroute show table all\nrule show\n').replace(/ expires \d+sec/g, ''),
    fileState('/etc/resolv.conf'),
    fs.readdirSync('/etc').join(' '),
  ].join('\n---\n');
}

function fileState(path: string): string {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  const what = stat?.isSymbolicLink() ? fs.readlinkSync(path) : stat?.isFile() ? fs.readFileSync(path, 'utf8') : '';
  return `${path}: ${stat?.mode.toString(8)} ${stat?.uid} ${stat?.gid} ${what}`;
}

/** What name servers this host has: its files, what its resolver has been told, and whom it asks. */
async function dnsState(): Promise<string> {
  const inRun = ['/run/resolvconf', '/run/sallyport'].flatMap((folder) =>
    fs.existsSync(folder)
      ? (fs.readdirSync(folder, { recursive: true }) as string[]).sort().map((name) => join(folder, name))
      : [],
  );
  const inEtc = fs.readdirSync('/etc').filter((name) => /^(resolv|dnsmasq)/.test(name));
  const files = [...inEtc.map((name) => join('/etc', name)), ...inRun.filter((path) => fs.statSync(path).isFile())];
  return [...files.map(fileState), await resolvedState(), await askedServer()].join('\n');
}

async function resolvedState(): Promise<string> {
  const bus = await hostPlatform.openBus().catch(() => undefined);
  const destination = 'org.freedesktop.resolve1';
  const property = (name: string) =>
    bus?.call({
      destination,
      path: '/org/freedesktop/resolve1',
      interface: 'org.freedesktop.DBus.Properties',
      member: 'Get',
      signature: 'ss',
      body: [`${destination}.Manager`, name],
    });
  try {
    if ((await bus?.nameOwner(destination)) === undefined) return '';
    return JSON.stringify([await property('DNSEx'), await property('Domains')]);
  } finally {
    await bus?.close();
  }
}

/** Who answers for a name that the tunnel claims, where a server of this host is asked first. */
async function askedServer(): Promise<string> {
  if (!fs.readFileSync('/etc/resolv.conf', 'utf8').startsWith('nameserver 127.0.0.1\n')) return '';
  const resolver = new dns.Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers(['127.0.0.1']);
  return String(await resolver.resolve4('a.lab.example').catch((error: Error) => error.message));
}
