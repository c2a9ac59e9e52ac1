// Where small datagrams are lost on their way through a tunnel, and who has the processors meanwhile: counters of the
// kernel, of the processes and of iperf3, which sends as fast as it can. `npm run bench -- losses`, as root. A pair is
// `client/server`; `--length`: bytes of a datagram.

import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { tunnel } from '../test/lab/lab.ts';
import type { Namespace } from '../test/lab/net.ts';
import { eventually, type WatchedProcess } from '../test/lab/process.ts';
import type { Program } from '../test/lab/requirements.ts';
import { openLab, runIn } from './lab-bench.ts';
import { cpuSeconds, machineLine, median, table } from './report.ts';

const { values: options } = parseArgs({
  options: {
    pairs: { type: 'string', default: 'sallyport/sallyport,openvpn-2.7/openvpn-2.7' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    directions: { type: 'string', default: 'up,down' },
    lines: { type: 'string', default: '' },
    length: { type: 'string', default: '64' },
  },
});
const lines = options.lines.split(';').filter((line) => line !== '');
const seconds = Number(options.seconds);

/** Thousands a second; of the processors, seconds in a hundred. */
type Figures = Record<string, number>;

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum: { readonly packets: number };
    readonly sum_received: { readonly bytes: number };
    readonly cpu_utilization_percent: { readonly host_total: number; readonly remote_total: number };
  };
}

const lab = await openLab();
await runIn(lab, async () => {
  process.stdout.write(`${machineLine()}\n${options.length} bytes, ${options.rounds} x ${options.seconds} s, 1000/s\n`);
  const runs = new Map<string, Figures[]>();
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const pair of options.pairs.split(',')) {
      for (const [direction, figures] of await measurePair(pair)) {
        const key = `${pair} ${direction}`;
        runs.set(key, [...(runs.get(key) ?? []), figures]);
      }
    }
  }
  const names = [...new Set([...runs.values()].flat().flatMap((figures) => Object.keys(figures)))];
  const rows = names.map((name) =>
    [...runs.values()].map((of) => median(of.map((figures) => figures[name] ?? 0)).toFixed(1)),
  );
  process.stdout.write(table([['', ...runs.keys()], ...rows.map((row, at) => [names[at]!, ...row])]));
});

async function measurePair(pair: string): Promise<[string, Figures][]> {
  const [clientKind, serverKind] = pair.split('/') as [Program, Program];
  const server = await lab.server({ program: serverKind, lines: ['keepalive 10 60', ...lines] });
  const client = await lab.connect({ kind: clientKind, lines });
  const sink = lab.net.server.watch(['iperf3', '--server', '--forceflush'], { name: 'iperf3' });
  await sink.line(/Server listening/);
  const measured: [string, Figures][] = [];
  for (const direction of options.directions.split(',')) {
    measured.push([direction, await measure(direction, client, server)]);
  }
  await sink.kill();
  await client.stop();
  await server.stop();
  await eventually('the end of the device', async () => !(await lab.net.client.ip('-br link')).includes('tun0'));
  return measured;
}

async function measure(direction: string, client: WatchedProcess, server: WatchedProcess): Promise<Figures> {
  const argv = ['iperf3', '--client', tunnel.server4, '--time', options.seconds, '--json', '--udp', '--bitrate', '0'];
  argv.push('--length', options.length);
  if (direction === 'down') argv.push('--reverse');
  const before = await countersOf(client, server);
  const { stdout } = await lab.net.client.run(argv, { timeoutMs: (seconds + 20) * 1000, anyCode: true });
  const after = await countersOf(client, server);
  const { end, error } = JSON.parse(stdout) as IperfReport;
  if (error !== undefined) throw new Error(`iperf3 measured nothing: ${error}`);
  const thousands = (count: number): number => count / seconds / 1e3;
  const { host_total: here, remote_total: there } = end.cpu_utilization_percent;
  const figures: Figures = {
    sent: thousands(end.sum.packets),
    // Not what was sent less what was lost: the receiver misses none behind the last one that came.
    arrived: thousands(end.sum_received.bytes / Number(options.length)),
    'sender, % of a processor': direction === 'down' ? there : here,
    'receiver, % of a processor': direction === 'down' ? here : there,
  };
  for (const [name, value] of Object.entries(after)) {
    const change = value - (before[name] ?? 0);
    figures[name] = name.endsWith('processor') ? change / seconds : thousands(change);
  }
  return figures;
}

async function countersOf(client: WatchedProcess, server: WatchedProcess): Promise<Figures> {
  const found: Figures = {};
  for (const [role, namespace, end] of [
    ['client', lab.net.client, client],
    ['server', lab.net.server, server],
  ] as const) {
    await readNamespace(role, namespace, found);
    found[`${role}, % of a processor`] = cpuSeconds(end.pid) * 100;
    for (const kind of ['voluntary', 'nonvoluntary']) found[`${role}, ${kind} switches`] = switches(end.pid, kind);
  }
  return found;
}

/** Packets of the tun device that its queue had no room for, and datagrams that a socket had none for: the tunnel's own and the receiver's. */
async function readNamespace(role: string, namespace: Namespace, found: Figures): Promise<void> {
  const { stdout } = await namespace.run(['sh', '-c', 'cat /proc/net/dev /proc/net/snmp; ss -uanmH sport = :1194']);
  const device = /^\s*tun0:\s*(.*)$/m.exec(stdout)?.[1]?.split(/\s+/) ?? [];
  const [names, values] = [...stdout.matchAll(/^Udp: (.*)$/gm)].map(([, text = '']) => text.split(' '));
  const socket = /skmem:.*,d(\d+)\)/.exec(stdout)?.[1];
  found[`${role}: queue of tun0 full`] = Number(device[11] ?? 0);
  found[`${role}: a socket full`] = Number(values?.[names?.indexOf('RcvbufErrors') ?? -1] ?? 0);
  if (role === 'server') found[`${role}: the tunnel's socket full`] = Number(socket ?? 0);
}

/** Of all threads, so far. */
function switches(pid: number, kind: string): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    sum += Number(new RegExp(`^${kind}_ctxt_switches:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  }
  return sum;
}
