// The time of a round trip through a tunnel that is otherwise idle, with each pair of programs at its two ends, in turns.
// `npm run bench -- round-trip`, as root. A pair is `client/server`. The pings begin a second after the tunnel is up,
// or after `--before N` others as fast as they go.

import { parseArgs } from 'node:util';
import { tunnel } from '../test/lab/lab.ts';
import { eventually } from '../test/lab/process.ts';
import type { Program } from '../test/lab/requirements.ts';
import { openLab, runIn } from './lab-bench.ts';
import { machineLine, median, table } from './report.ts';

const { values: options } = parseArgs({
  options: {
    pairs: { type: 'string', default: 'sallyport/sallyport,openvpn-2.7/openvpn-2.7,openvpn/openvpn' },
    rounds: { type: 'string', default: '5' },
    pings: { type: 'string', default: '40' },
    interval: { type: 'string', default: '0.1' },
    lines: { type: 'string', default: '' },
    before: { type: 'string', default: '0' },
  },
});
const pairs = options.pairs.split(',').map((name) => {
  const [client, server] = name.split('/') as [Program, Program];
  return { name, client, server };
});
const lines = options.lines.split(';').filter((line) => line !== '');

const lab = await openLab();
await runIn(lab, async () => {
  process.stdout.write(
    `${machineLine()}\n${options.rounds} tunnels of each pair, ${options.pings} pings in each, ${options.interval} s between them\n`,
  );
  const runs = new Map<string, number[][]>();
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const pair of pairs) {
      runs.set(pair.name, [...(runs.get(pair.name) ?? []), await measure(pair.client, pair.server)]);
    }
  }
  const base = overall(runs.get('openvpn-2.7/openvpn-2.7') ?? runs.get(pairs[0]!.name)!);
  const rows = [['client/server', 'first', 'median, ms', 'p90', 'last ten', 'x openvpn-2.7/openvpn-2.7']];
  for (const { name } of pairs) {
    const of = runs.get(name)!;
    rows.push([
      name,
      median(of.map((times) => times[0]!)).toFixed(3),
      overall(of).toFixed(3),
      of
        .flat()
        .sort((a, b) => a - b)
        [Math.floor(of.flat().length * 0.9)]!.toFixed(3),
      median(of.flatMap((times) => times.slice(-10))).toFixed(3),
      (overall(of) / base).toFixed(2),
    ]);
  }
  process.stdout.write(table(rows));
});

function overall(runs: readonly (readonly number[])[]): number {
  return median(runs.flat());
}

/** Milliseconds of each ping that was answered, in their order. */
async function measure(clientKind: Program, serverKind: Program): Promise<number[]> {
  const server = await lab.server({ program: serverKind, lines: ['keepalive 10 60', ...lines] });
  const client = await lab.connect({ kind: clientKind, lines });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  if (options.before !== '0') {
    const flood = ['ping', '-n', '-q', '-f', '-c', options.before, tunnel.server4];
    await lab.net.client.run(flood, { timeoutMs: 60_000, anyCode: true });
  }
  const { stdout } = await lab.net.client.run(
    ['ping', '-n', '-c', options.pings, '-i', options.interval, '-W', '1', tunnel.server4],
    { timeoutMs: 60_000, anyCode: true },
  );
  await client.stop();
  await server.stop();
  await eventually('the end of the device', async () => !(await lab.net.client.ip('-br link')).includes('tun0'));
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
  if (times.length === 0) throw new Error('no ping was answered');
  return times;
}
