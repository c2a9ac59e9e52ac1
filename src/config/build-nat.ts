// `client-nat`, from a line of a profile or from words of a push reply.

import { ipv4ToNumber } from '../ip/address-arithmetic.ts';
import type { Reader, TunnelDraft } from './draft.ts';
import { shown } from './values.ts';

/** Translations at most; the C program's figure. */
const RULES_MAX = 64;

/** Adds a translation. A network with bits beyond its netmask fits no address; the C program takes it, too. */
export const readNatRule: Reader<TunnelDraft> = (draft, [type = '', network = '', netmask = '', foreign = ''], say) => {
  const [ours, mask, theirs] = [network, netmask, foreign].map(ipv4ToNumber);
  if (type !== 'snat' && type !== 'dnat') {
    say.error("client-nat: type must be 'snat' or 'dnat'", 'Write client-nat snat NETWORK NETMASK ALIAS.');
  } else if (ours === undefined) say.error(`client-nat: bad network: ${shown(network)}`, 'Write an IPv4 address.');
  else if (mask === undefined)
    say.error(`client-nat: bad netmask: ${shown(netmask)}`, 'Write 255.255.255.0 or the like.');
  else if (theirs === undefined) {
    say.error(`client-nat: bad foreign network: ${shown(foreign)}`, 'Write an IPv4 address.');
  } else if (draft.natRules.length >= RULES_MAX) {
    say.warn(`WARNING: client-nat table overflow (max ${RULES_MAX} entries)`, 'Translate larger networks at once.');
  } else draft.natRules = [...draft.natRules, { type, network: ours, netmask: mask, foreign: theirs }];
};
