// PUSH_UPDATE (OpenVPN 2.7) from the server: what changes for clients that are up, checked as a client will read it, cut
// into messages as the C program cuts, and what it means for a client's own addresses here.

import type { Config, TunnelOptions } from '../config/config.ts';
import { parsePushUpdate } from '../config/push-update.ts';
import { SallyportError } from '../error.ts';
import { Severity } from '../log.ts';
import { IvProto, ivProtoOf } from '../wire/peer-info.ts';
import { writePushUpdate } from '../wire/push-reply.ts';
import type { ClientAddresses, ServerEnd } from './client-addresses.ts';

/** What a client is sent, and what it has afterwards. */
export interface PushUpdate {
  readonly texts: readonly string[];
  readonly addresses: ClientAddresses;
}

/** Whether a client says (IV_PROTO) that it can be changed while it is up. */
export function takesUpdates(peerInfo: ReadonlyMap<string, string>): boolean {
  return (ivProtoOf(peerInfo) & IvProto.pushUpdate) !== 0;
}

/** Whether the options give an address: only one client can have it. */
export function givesAddress(options: readonly string[]): boolean {
  return options.some((option) => /^\s*\??ifconfig(-ipv6)?\s/.test(option));
}

/** Throws SallyportError for options that no client could follow. */
export function makePushUpdate(
  options: readonly string[],
  addresses: ClientAddresses,
  config: Config,
  end: Pick<ServerEnd, 'local6'>,
): PushUpdate {
  if (options.length === 0) throw refusal('an update without options', 'Pass at least one.');
  const { v4, v6 } = addresses;
  const current: TunnelOptions = {
    ...config.tunnel,
    ifconfig: v4 === undefined ? undefined : { local: v4.pushed, remoteOrNetmask: v4.remoteOrNetmask },
    ifconfigIpv6: v6 === undefined ? undefined : { ...v6, local: v6.local },
  };
  const { tunnel, verdicts, rejected } = parsePushUpdate(options, current, { ...config, pullFilters: [] });
  if (rejected !== undefined) throw refusal(rejected.message, 'See the options that PUSH_UPDATE can change.');
  const complaint = verdicts.find(
    ({ flags, text }) => (flags & Severity.nonFatal) !== 0 || /^Options error/.test(text),
  );
  if (complaint !== undefined) throw refusal(complaint.text, 'Write the options as push has them.');
  return {
    texts: textsOf(options),
    addresses: {
      v4: sameText(tunnel.ifconfig, current.ifconfig) ? v4 : address4(tunnel.ifconfig),
      v6: sameText(tunnel.ifconfigIpv6, current.ifconfigIpv6) ? v6 : address6(tunnel.ifconfigIpv6, end),
    },
  };
}

function textsOf(options: readonly string[]): readonly string[] {
  try {
    return writePushUpdate(options);
  } catch (error) {
    throw refusal((error as Error).message, 'An option has to fit into one message.');
  }
}

function address4(ifconfig: TunnelOptions['ifconfig']): ClientAddresses['v4'] {
  return ifconfig && { ...ifconfig, pushed: ifconfig.local };
}

function address6(
  ifconfig: TunnelOptions['ifconfigIpv6'],
  { local6 }: Pick<ServerEnd, 'local6'>,
): ClientAddresses['v6'] {
  const remote = ifconfig?.remote ?? local6;
  return ifconfig && remote !== undefined
    ? { local: ifconfig.local, prefixLength: ifconfig.prefixLength, remote }
    : undefined;
}

const sameText = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const refusal = (message: string, hint: string): SallyportError =>
  new SallyportError(`pushUpdate: ${message}`, { code: 'SALLYPORT_PUSH', blame: 'config', hint });
