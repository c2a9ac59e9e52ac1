// Runs inside a namespace with an /etc of its own. `run MOMENT LINES`: a tunnel is set on the host and taken back, by the
// adapters and the journal of the real client; the process kills itself at the moment of that number, which are: before
// the first and after each call that changes a file or the host. `every LINES`: one such run for each moment, and the host
// after each one's recovery compared with the host before; prints {moments, wrong} as JSON.

import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { parseConfig } from '../../src/config/parse.ts';
import { systemDns } from '../../src/host-dns.ts';
import { createHostJournal } from '../../src/host-journal.ts';
import { createNetlinkPort } from '../../src/linux/netlink.ts';
import { createTunPort } from '../../src/linux/tun.ts';
import { recoverHost } from '../../src/recover.ts';
import { Host } from '../../src/tunnel/host.ts';

const SERVER = '198.51.100.1';
/** The moment at which everything stands. */
const UP = -1;
const JOURNALS = '/var/lib/sallyport/journal';

const [verb, ...words] = process.argv.slice(2);
if (verb === 'every') await every(words[0] ?? '[]');
else await run(Number(words[0]), words[1] ?? '[]');

async function run(dieAt: number, lines: string): Promise<void> {
  let moments = 0;
  const moment = (): void => {
    if (moments++ === dieAt) process.kill(process.pid, 'SIGKILL');
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
    'mkdirSync',
  ] as const) {
    const call = fs[name] as (...values: unknown[]) => unknown;
    Object.assign(fs, {
      [name]: (...values: unknown[]) => {
        const result = call(...values);
        moment();
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
    'dns-backend file',
    '<ca>',
    'x',
    '</ca>',
    ...(JSON.parse(lines) as string[]),
    '',
  ].join('\n');
  const { config } = parseConfig({ text, file: 'test.conf' }, { readText: () => undefined });
  const [profile] = config?.connections ?? [];
  if (config === undefined || profile === undefined) throw new Error('the lines of the test are no configuration');
  const log = (): void => {};
  const journal = createHostJournal({ profile: 'test.conf', log });
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
    dns: systemDns('file'),
    privileges: { chroot() {}, changeIdentity: () => [] },
    resolver: { resolve: () => Promise.resolve([]) },
    keepRecord: journal.keep,
    log,
    pid: process.pid,
    startUnixSeconds: Math.floor(Date.now() / 1000),
    configFile: 'test.conf',
  });
  const remote = { family: 4, address: Uint8Array.from(SERVER.split('.'), Number), port: 1194, scopeId: 0 } as const;
  const letGo = (): Promise<void> => Promise.resolve();
  moment();
  await host.open({ profile, tunnel: config.tunnel, remote, letGo, signal: new AbortController().signal });
  await host.route();
  console.log('up');
  if (dieAt === UP) process.kill(process.pid, 'SIGKILL');
  await host.close({ signal: 'SIGTERM', signalText: '', keep: false }, letGo);
  journal.end();
  console.log(moments);
}

async function every(lines: string): Promise<void> {
  fs.mkdirSync(JOURNALS, { recursive: true, mode: 0o700 });
  const before = state();
  const once = start('-2', lines);
  const moments = Number(once.stdout.split('\n')[1]);
  const wrong: unknown[] = [];
  if (state() !== before) wrong.push({ moment: 'whole', stderr: once.stderr, before, after: state() });
  for (let at = 0; at < moments && wrong.length < 3; at++) {
    const { signal } = start(String(at), lines);
    const { processes, problems, elsewhere } = await recoverHost({ dryRun: false });
    const after = state();
    const again = await recoverHost({ dryRun: false });
    const failed = processes.flatMap(({ changes }) => changes).filter(({ result }) => result !== 'restored');
    const isRight =
      signal === 'SIGKILL' &&
      after === before &&
      failed.length + problems.length + elsewhere + again.processes.length === 0 &&
      fs.readdirSync(JOURNALS).length === 0;
    if (!isRight) wrong.push({ moment: at, signal, failed, problems, again, before, after });
  }
  console.log(JSON.stringify({ moments, wrong }));
}

function start(at: string, lines: string) {
  const { signal, stdout, stderr } = spawnSync(process.execPath, [process.argv[1] ?? '', 'run', at, lines], {
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGTERM',
  });
  return { signal, stdout, stderr };
}

/** All of the host that a tunnel may change. */
function state(): string {
  const ip = (family: string, input: string): string =>
    execFileSync('ip', [family, '-batch', '-'], { encoding: 'utf8', input });
  const link = fs.lstatSync('/etc/resolv.conf', { throwIfNoEntry: false });
  const resolv = link?.isSymbolicLink()
    ? fs.readlinkSync('/etc/resolv.conf')
    : link && fs.readFileSync('/etc/resolv.conf', 'utf8');
  return [
    ip('-4', 'link show\naddr show\nroute show table all\nrule show\n'),
    ip('-6', 'addr show\nroute show table all\nrule show\n').replace(/ expires \d+sec/g, ''),
    `${link?.mode.toString(8)} ${link?.uid} ${link?.gid} ${resolv}`,
    fs.readdirSync('/etc').join(' '),
  ].join('\n---\n');
}
