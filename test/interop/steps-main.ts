// Runs inside a namespace: carries out the steps of a plan on the real kernel, keeps the journal in a file, and undoes
// them on SIGTERM. `recover` undoes what a killed one left. Arguments: up JOURNAL SERVER LINES (JSON), or recover JOURNAL.

import { appendFileSync, readFileSync } from 'node:fs';
import { parseConfig } from '../../src/config/parse.ts';
import { createNetlinkPort } from '../../src/linux/netlink.ts';
import { createTunPort } from '../../src/linux/tun.ts';
import type { Log } from '../../src/log.ts';
import { applySteps, type StepPorts, undoSteps } from '../../src/tunnel/apply-steps.ts';
import { readHostFacts } from '../../src/tunnel/host-facts.ts';
import { Journal, type JournalRecord } from '../../src/tunnel/journal.ts';
import { makeTunnelPlan } from '../../src/tunnel/make-plan.ts';
import { planSteps } from '../../src/tunnel/plan-steps.ts';

const [verb, journalPath = '', server = '', lines = '[]'] = process.argv.slice(2);
const log: Log = (_, text) => console.log(text);
const ports: StepPorts = {
  device: createTunPort(),
  network: createNetlinkPort(),
  runHook: () => Promise.resolve(),
};
const keep = (record: JournalRecord) => appendFileSync(journalPath, `${JSON.stringify(record)}\n`);

if (verb === 'recover') {
  const records = readFileSync(journalPath, 'utf8').trim().split('\n');
  await undoSteps(Journal.replay(records.map((line) => JSON.parse(line) as JournalRecord)), ports, log);
} else {
  const ended = new Promise<void>((resolve) => {
    // A test that forgot it leaves nothing behind for ever.
    const bound = setTimeout(resolve, 60_000);
    process.once('SIGTERM', () => {
      clearTimeout(bound);
      resolve();
    });
  });
  const { config } = parseConfig(
    {
      text: ['client', 'dev tun', 'remote x', 'auth-user-pass', '<ca>', 'x', '</ca>', ...JSON.parse(lines), ''].join(
        '\n',
      ),
      file: 'test.conf',
    },
    { readText: () => undefined },
  );
  if (config === undefined) throw new Error('the lines of the test are no configuration');
  const { plan } = makeTunnelPlan({
    device: config.device,
    options: config.tunnel,
    profile: config.tunnel,
    tunMtuBytes: 1500,
    server,
    facts: readHostFacts(ports.network, server, log),
    resolved: new Map(),
  });
  const context = {
    node: undefined,
    txQueueLength: undefined,
    ifconfigNoexec: false,
    routeNoexec: false,
    downPre: false,
  };
  const { device, routes } = planSteps(plan, context);
  const journal = new Journal(keep);
  await applySteps([...device, ...routes], journal, ports, log);
  console.log('steps done');
  await ended;
  await undoSteps(journal, ports, log);
}
