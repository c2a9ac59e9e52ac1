// The entry of the helper process that keeps root's rights for the host's name servers, built as dist/bin/dns-helper.js.
// The way they are set and the program of dns-updown are fixed before rights are given up. Who has got into the program
// afterwards can ask for name servers, as a tunnel may, and for nothing else: what is undone is what stands in this
// process's own record, and a program sees no variable but those of dns-updown.

import { systemDns } from './host-dns.ts';
import type { DnsCall, DnsSetup, HelperReport } from './linux/helper-messages.ts';
import { createNodeScripts } from './node/scripts.ts';
import type { DnsApplied, DnsPort } from './tunnel/dns-port.ts';
import { dnsVariables, isDnsRequest } from './tunnel/dns-request.ts';

/** Whoever is gone hears nothing any more. */
const tell = (report: HelperReport): void => {
  process.send?.(report, () => {});
};

// The program that started this one hears signals, and ends it.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGPIPE'] as const) {
  process.on(signal, () => {});
}

process.once('message', ({ backend, command }: DnsSetup) => {
  const port = backend === 'none' ? undefined : systemDns(backend);
  const standing = new Map<string, DnsApplied>();
  const pending = new Set<Promise<void>>();
  process.on('message', (call: DnsCall) => {
    const told = answer(call, port, command, standing).then(
      (result) => tell({ type: 'dns', id: call.id, result }),
      (error: unknown) => tell({ type: 'dns', id: call.id, result: { result: 'failed', reason: String(error) } }),
    );
    pending.add(told);
    void told.finally(() => pending.delete(told));
  });
  // A program that was killed can't undo it; what it has just asked for is done first.
  process.on('disconnect', () => {
    void Promise.allSettled(pending)
      .then(() => Promise.all([...standing.values()].map((applied) => port?.undo(applied))))
      .finally(() => process.exit(0));
  });
  tell({ type: 'ready' });
});

async function answer(
  call: DnsCall,
  port: DnsPort | undefined,
  command: readonly string[] | undefined,
  standing: Map<string, DnsApplied>,
): Promise<unknown> {
  switch (call.type) {
    case 'apply': {
      if (port === undefined || !isDnsRequest(call.request)) return { result: 'failed', reason: 'no such request' };
      const outcome = await port.apply(call.request);
      if (outcome.result === 'applied') standing.set(outcome.applied.id, outcome.applied);
      return outcome;
    }
    case 'undo': {
      const applied = standing.get(call.applied);
      if (port === undefined || applied === undefined) return { result: 'restored' };
      const undone = await port.undo(applied);
      // What failed is tried once more when the program is gone.
      if (undone.result !== 'failed') standing.delete(call.applied);
      return undone;
    }
    case 'stands': {
      const applied = standing.get(call.applied);
      return port === undefined || applied === undefined || port.stands(applied);
    }
    case 'script':
      if (command === undefined) return { exitCode: undefined, signal: undefined, error: 'there is no such program' };
      return createNodeScripts().run(command, dnsVariables(call.environment), { timeoutMs: undefined });
    default:
      return call satisfies never;
  }
}
