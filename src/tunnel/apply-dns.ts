// Name servers set and unset as a step. A host that refuses them is told of in one warning, and the tunnel goes on.

import { Level, type Log } from '../log.ts';
import type { DnsApplied, DnsPort } from './dns-port.ts';
import type { StepOutcome } from './journal.ts';
import type { TunnelStep } from './step.ts';

type SetDns = Extract<TunnelStep, { kind: 'set-dns' }>;

export async function setDns(
  { device, id, wanted }: SetDns,
  port: DnsPort | undefined,
  log: Log,
): Promise<StepOutcome> {
  if (port === undefined) return { result: 'failed' };
  const outcome = await port.apply({ device, id, wanted });
  if (outcome.result !== 'applied') {
    log(Level.warning, `WARNING: DNS is not set: ${outcome.reason}`);
    return { result: 'failed' };
  }
  log(Level.info, `DNS set: ${describeDns(outcome.applied)}`);
  for (const note of outcome.notes) log(Level.info, `NOTE: ${note}`);
  return { result: 'dns', applied: outcome.applied };
}

/** False where they still stand, for the host refused. `outcome` is undefined where the process died in the middle of it. */
export async function unsetDns(
  { device, id }: SetDns,
  outcome: StepOutcome | undefined,
  port: DnsPort | undefined,
  log: Log,
): Promise<boolean> {
  if (port === undefined) return true;
  if (outcome?.result !== 'dns') return (await port.clear({ device, id })).result !== 'failed';
  const undone = await port.undo(outcome.applied);
  if (undone.result === 'restored') log(Level.info, `DNS unset: ${device} (${outcome.applied.backend})`);
  else if (undone.result === 'left') log(Level.warning, `NOTE: DNS is left as it is: ${undone.reason}`);
  else
    log(
      Level.warning,
      `WARNING: DNS is not restored: ${undone.reason} (the next start or sallyport recover tries again)`,
    );
  return undone.result !== 'failed';
}

/** `10.8.0.1 10.8.0.2#5353 on tun0 (resolved); search office.example; asked for lab.example`. */
function describeDns({ setting, device, backend }: DnsApplied): string {
  const { servers, search, routing, overTls } = setting;
  const addresses = servers.map(({ address, port }) => (port === undefined ? address : `${address}#${port}`));
  const asked = routing.includes('.') ? 'every name' : routing.join(' ');
  return [
    `${addresses.join(' ')} on ${device} (${backend}${overTls ? ', over TLS' : ''})`,
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(asked === '' ? [] : [`asked for ${asked}`]),
  ].join('; ');
}
