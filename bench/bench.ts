// Time to connect and throughput, ours beside OpenVPN 2.6 and 2.7 in the same run against the same server; the figures
// that count are the ratios. `npm run bench`, as root. Everything happens in namespaces of its own.

import { parseArgs } from 'node:util';
import { tunnel, up } from '../test/lab/lab.ts';
import { eventually } from '../test/lab/process.ts';
import { clientCommand, type Program } from '../test/lab/requirements.ts';
import { openLab, runIn } from './lab-bench.ts';
import { machineLine, median, programLabel } from './report.ts';

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '15' },
    seconds: { type: 'string', default: '5' },
    clients: { type: 'string', default: 'sallyport,openvpn,openvpn-2.7' },
  },
});
const runs = Number(options.runs);
const seconds = Number(options.seconds);
const clients = options.clients.split(',') as Program[];

const lab = await openLab();
await runIn(lab, async () => {
  describeMachine();
  await lab.server({ lines: ['keepalive 10 60'] });
  print(await connectTimes(), 'start of the process to "Initialization Sequence Completed", ms', 'less is better');
  for (const direction of ['up', 'down'] as const) {
    print(await throughput(direction), `TCP throughput, one flow, ${direction}, Mbit/s`, 'more is better');
  }
});

/** Clients take turns, so that whatever else the machine does meets all of them alike. */
async function connectTimes(): Promise<Map<Program, number[]>> {
  const times = new Map<Program, number[]>(clients.map((kind) => [kind, []]));
  const config = await lab.clientConfig();
  // One run each beforehand fills the caches of files.
  for (let run = -1; run < runs; run += 1) {
    for (const kind of clients) {
      const began = performance.now();
      const client = await lab.client({ kind, argv: ['--config', config] });
      await client.line(up);
      if (run >= 0) times.get(kind)?.push(performance.now() - began);
      await client.stop();
    }
  }
  return times;
}

interface IperfReport {
  readonly error?: string;
  readonly end: { readonly sum_received?: { readonly bits_per_second: number } };
}

/** Mbit/s received. The server may still be closing the run before: then it is asked again, a few times. */
async function measured(argv: readonly string[]): Promise<number> {
  let problem = 'no report';
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const { stdout } = await lab.net.client.run([...argv], { timeoutMs: (seconds + 20) * 1000 });
    const report = JSON.parse(stdout) as IperfReport;
    if (report.error === undefined && report.end.sum_received !== undefined) {
      return report.end.sum_received.bits_per_second / 1e6;
    }
    problem = report.error ?? problem;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`iperf3 measured nothing: ${problem}`);
}

async function throughput(direction: 'up' | 'down'): Promise<Map<Program, number[]>> {
  const rates = new Map<Program, number[]>(clients.map((kind) => [kind, []]));
  const sink = lab.net.server.watch(['iperf3', '--server', '--forceflush'], { name: 'iperf3' });
  await sink.line(/Server listening/);
  try {
    for (let turn = 0; turn < 2; turn += 1) {
      for (const kind of clients) {
        const client = await lab.client({ kind, argv: ['--config', await lab.clientConfig()] });
        await client.line(up);
        const argv = ['iperf3', '--client', tunnel.server4, '--time', `${seconds}`, '--json'];
        if (direction === 'down') argv.push('--reverse');
        rates.get(kind)?.push(await measured(argv));
        await client.stop();
        await eventually('the end of the device', async () => !(await lab.net.client.ip('-br link')).includes('tun0'));
      }
    }
  } finally {
    await sink.kill();
  }
  return rates;
}

function print(figures: Map<Program, number[]>, title: string, reading: string): void {
  const first = clients[0];
  if (first === undefined) return;
  const mine = median(figures.get(first) ?? []);
  process.stdout.write(`\n${title} (median; ${reading})\n`);
  for (const [kind, values] of figures) {
    const middle = median(values);
    const spread = `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
    const ratio =
      kind === first ? '' : `   ${programLabel[first]} / ${programLabel[kind]} = ${(mine / middle).toFixed(2)}`;
    process.stdout.write(`  ${programLabel[kind].padEnd(12)} ${middle.toFixed(0).padStart(7)}   (${spread})${ratio}\n`);
  }
}

function describeMachine(): void {
  process.stdout.write(
    `${machineLine()}\nserver: openvpn 2.6 in a namespace of the same machine, AES-256-GCM, UDP over IPv4, no kernel offload; ` +
      `${runs} connections and 2 x ${seconds} s of traffic each\n`,
  );
  process.stdout.write(
    `clients: ${clients.map((kind) => `${programLabel[kind]} (${clientCommand(kind).join(' ')})`).join(', ')}\n`,
  );
}
