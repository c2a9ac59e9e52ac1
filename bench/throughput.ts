// Throughput of one tunnel with each pair of programs at its two ends, in turns, so that whatever else the machine does
// meets all of them alike; the figures that count are the ratios. `npm run bench -- throughput`, as root.
//
// A pair is `client/server`; `wireguard-go` and `veth` (no tunnel) are contenders of their own. `--flows N`, `--lines 'a;b'`:
// lines for both configurations, or for one (`client:a`, `server:a`); a transport is `--transport`; `--lines 'a|b'`: with the one
// and with the other, in turns. `--udp 64`: datagrams of 64 bytes as fast as they go, counted where they arrive. `--congestion bbr`: how TCP there finds
// its rate, inside the tunnel and around it; cubic, the kernel's own choice, where nothing is said, so that machines can be
// compared. CPU: seconds of both ends for each 10^9 bytes that arrived. MiB: memory of the larger process of the two behind it.

import { parseArgs } from 'node:util';
import { type Transport, tunnel } from '../test/lab/lab.ts';
import { eventually, residentBytes, type WatchedProcess } from '../test/lab/process.ts';
import type { Program } from '../test/lab/requirements.ts';
import { isContender, openContest } from './contenders.ts';
import { openLab, runIn } from './lab-bench.ts';
import { cpuSeconds, machineLine, median, table } from './report.ts';

const { values: options } = parseArgs({
  options: {
    pairs: {
      type: 'string',
      default: 'sallyport/sallyport,openvpn-2.7/openvpn-2.7,openvpn/openvpn,sallyport/openvpn,openvpn/sallyport',
    },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    flows: { type: 'string', default: '1' },
    directions: { type: 'string', default: 'up,down' },
    transport: { type: 'string', default: 'udp4' },
    lines: { type: 'string', default: '' },
    congestion: { type: 'string', default: 'cubic' },
    udp: { type: 'string' },
  },
});
const variants = options.lines.split('|').map((text) => text.split(';').filter((line) => line !== ''));
const pairs = options.pairs.split(',').flatMap((pair) => {
  const [client, server] = pair.split('/') as [Program, Program];
  if (isContender(pair)) return [{ name: pair, client, server, lines: [] }];
  return variants.map((lines) => ({
    name: variants.length > 1 ? `${pair} ${lines.join(', ')}` : pair,
    ...{ client, server, lines },
  }));
});
/** A system that lists other algorithms only in tcp_allowed_congestion_control refuses, and what it has is told. */
const setCongestion =
  'cd /proc/sys/net/ipv4; echo "$0" 2> /dev/null > tcp_congestion_control; cat tcp_congestion_control';
const directions = options.directions.split(',') as ('up' | 'down')[];

interface Run {
  /** Mbit/s, or thousands of datagrams a second. */
  readonly rate: number;
  readonly cpuSecondsPerGb: number;
  readonly retransmits: number;
  /** Of the end that holds the most. */
  readonly residentBytes: number;
}

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_sent?: { readonly retransmits?: number };
    readonly sum_received?: { readonly bytes: number; readonly bits_per_second: number; readonly seconds: number };
  };
}

const lab = await openLab();
await runIn(lab, async () => {
  const around = await Promise.all(
    [lab.net.client, lab.net.server].map((host) => host.run(['sh', '-c', setCongestion, options.congestion])),
  );
  const other = around.map(({ stdout }) => stdout.trim()).find((name) => name !== options.congestion);
  const outside = other === undefined ? '' : ` inside and ${other} around, for this system allows no other`;
  process.stdout.write(
    `${machineLine()}\nboth ends and iperf3 in namespaces of one machine; ${options.transport}, ${options.flows} flow(s), TCP ${options.congestion}${outside}, ` +
      `${options.rounds} x ${options.seconds} s${options.lines === '' ? '' : `, ${options.lines}`}\n`,
  );
  const runs = new Map<string, Run[]>();
  for (let round = 0; round < Number(options.rounds); round++) {
    // Each begins a round as often as the others: what comes first is a little faster.
    for (let turn = 0; turn < pairs.length; turn++) {
      const pair = pairs[(round + turn) % pairs.length]!;
      for (const [direction, run] of await measurePair(pair)) {
        const key = `${pair.name} ${direction}`;
        runs.set(key, [...(runs.get(key) ?? []), run]);
      }
    }
  }
  print(runs);
});

async function measurePair(pair: (typeof pairs)[number]): Promise<[string, Run][]> {
  if (isContender(pair.name)) {
    const contest = await openContest(lab, pair.name);
    const measured = await measureAll(contest.target, contest.ends);
    await contest.close();
    return measured;
  }
  const { client: clientKind, server: serverKind, lines } = pair;
  const transport = options.transport as Transport;
  const linesOf = (end: 'client' | 'server') =>
    lines.flatMap((line) => {
      const [, only, text = line] = /^(client|server):(.*)$/.exec(line) ?? [];
      return only === undefined || only === end ? [text] : [];
    });
  const server = await lab.server({
    program: serverKind,
    transport,
    lines: ['keepalive 10 60', ...linesOf('server')],
  });
  const client = await lab.connect({ kind: clientKind, transport, lines: linesOf('client') });
  const measured = await measureAll(tunnel.server4, [client, server]);
  await client.stop();
  await server.stop();
  await eventually('the end of the device', async () => !(await lab.net.client.ip('-br link')).includes('tun0'));
  return measured;
}

async function measureAll(target: string, ends: readonly WatchedProcess[]): Promise<[string, Run][]> {
  const sink = lab.net.server.watch(['iperf3', '--server', '--forceflush'], { name: 'iperf3' });
  await sink.line(/Server listening/);
  const measured: [string, Run][] = [];
  for (const direction of directions) measured.push([direction, await measure(direction, target, ends)]);
  await sink.kill();
  return measured;
}

async function measure(direction: 'up' | 'down', target: string, ends: readonly WatchedProcess[]): Promise<Run> {
  const argv = ['iperf3', '--client', target, '--time', options.seconds, '--json', '--parallel', options.flows];
  if (direction === 'down') argv.push('--reverse');
  if (options.udp === undefined) argv.push('--congestion', options.congestion);
  else argv.push('--udp', '--bitrate', '0', '--length', options.udp);
  let problem = 'no report';
  // The server may still be closing the run before: then it is asked again, a few times.
  for (let attempt = 0; attempt < 5; attempt++) {
    const before = cpuSecondsOf(ends);
    const { stdout } = await lab.net.client.run(argv, {
      timeoutMs: (Number(options.seconds) + 20) * 1000,
      anyCode: true,
    });
    const used = cpuSecondsOf(ends) - before;
    const resident = Math.max(...ends.map(({ pid }) => residentBytes(pid)));
    const { error, end } = JSON.parse(stdout) as IperfReport;
    if (error === undefined && end.sum_received !== undefined && options.udp !== undefined) {
      // Not what was sent less what was lost: the receiver misses none behind the last one that came.
      const { bytes, seconds } = end.sum_received;
      const arrived = bytes / Number(options.udp);
      return {
        rate: arrived / seconds / 1e3,
        cpuSecondsPerGb: used / (bytes / 1e9),
        retransmits: 0,
        residentBytes: resident,
      };
    }
    if (error === undefined && end.sum_received !== undefined && end.sum_sent !== undefined) {
      const { bytes, bits_per_second: rate } = end.sum_received;
      const { retransmits = 0 } = end.sum_sent;
      return { rate: rate / 1e6, cpuSecondsPerGb: used / (bytes / 1e9), retransmits, residentBytes: resident };
    }
    problem = error ?? problem;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`iperf3 measured nothing: ${problem}`);
}

function cpuSecondsOf(ends: readonly WatchedProcess[]): number {
  return ends.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
}

function print(runs: ReadonlyMap<string, readonly Run[]>): void {
  const reference = pairs.find(({ name }) => name === 'openvpn-2.7/openvpn-2.7') ?? pairs[0]!;
  const rows = [
    [
      'client/server',
      options.udp === undefined ? 'Mbit/s' : '1000/s',
      'lowest',
      'highest',
      'CPU s/GB',
      'resent',
      'MiB',
      `x ${reference.name}`,
    ],
  ];
  for (const direction of directions) {
    const base = median((runs.get(`${reference.name} ${direction}`) ?? []).map(({ rate }) => rate));
    for (const { name } of pairs) {
      const of = runs.get(`${name} ${direction}`) ?? [];
      const rates = of.map(({ rate }) => rate);
      rows.push([
        `${name} ${direction}`,
        median(rates).toFixed(0),
        Math.min(...rates).toFixed(0),
        Math.max(...rates).toFixed(0),
        median(of.map(({ cpuSecondsPerGb }) => cpuSecondsPerGb)).toFixed(2),
        median(of.map(({ retransmits }) => retransmits)).toFixed(0),
        (median(of.map((run) => run.residentBytes)) / 2 ** 20).toFixed(0),
        (median(rates) / base).toFixed(2),
      ]);
    }
  }
  process.stdout.write(table(rows));
}
