// A journal as text, one JSON object a line: a header that says whose it is, then the records in the order in which they
// were made.
//
//   {"sallyport-journal":1,"boot":"…","pid":4711,"start":"123456","network":"…","profile":"office"}
//   {"record":"begin","id":1,"step":{"kind":"add-route",…},"seen":{…}}
//   {"record":"end","id":1,"outcome":{"result":"changed"}}
//   {"record":"undone","id":1}
//
// What is read may be torn: the first line that is no record ends it. Every value is checked, for whoever reads it has
// the rights of root.

import { parseAddress } from '../ip/address.ts';
import { type PrefixText, parsePrefix } from '../ip/prefix.ts';
import type { JournalRecord, SeenBefore, StepOutcome } from './journal.ts';
import { readDnsApplied, readSetDns } from './journal-dns.ts';
import { type Fields, fieldsOf, isCount } from './journal-fields.ts';
import type { HostRoute } from './ports.ts';
import type { TunnelStep } from './step.ts';

/** Which process a journal is of, and where it ran. */
export interface JournalOwner {
  /** The kernel's id of this boot: devices, addresses and routes do not outlive it. */
  readonly boot: string;
  readonly pid: number;
  /** When the process began, as /proc tells it: a pid alone may be another's later. */
  readonly start: string;
  /** The network namespace whose devices and routes are meant. */
  readonly network: string;
  /** For people. */
  readonly profile: string;
}

const VERSION = 1;

export const writeHeader = (owner: JournalOwner): string =>
  `${JSON.stringify({ 'sallyport-journal': VERSION, ...owner })}\n`;

export const writeRecord = (record: JournalRecord): string => `${JSON.stringify(record)}\n`;

export interface ReadJournal {
  readonly owner: JournalOwner;
  readonly records: readonly JournalRecord[];
}

/** A journal from its text; undefined when it has no header that can be used. */
export function parseJournal(text: string): ReadJournal | undefined {
  const [first = '', ...lines] = text.split('\n');
  const owner = readOwner(parseJson(first));
  if (owner === undefined) return undefined;
  // What stands behind the last newline was not written to its end.
  lines.pop();
  const records: JournalRecord[] = [];
  for (const line of lines) {
    const record = readRecord(parseJson(line));
    if (record === undefined) break;
    records.push(record);
  }
  return { owner, records };
}

function parseJson(text: string): Fields | undefined {
  try {
    return fieldsOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function readOwner(fields: Fields | undefined): JournalOwner | undefined {
  if (fields?.['sallyport-journal'] !== VERSION) return undefined;
  const { boot, pid, start, network, profile } = fields;
  if (!isText(boot) || !isCount(pid) || !isText(start) || !isText(network) || !isText(profile)) return undefined;
  return { boot, pid, start, network, profile: profile.replace(/[^\x20-\x7e]/g, '?') };
}

function readRecord(fields: Fields | undefined): JournalRecord | undefined {
  if (fields === undefined || !isCount(fields.id)) return undefined;
  const { record, id } = fields;
  if (record === 'undone') return { record, id };
  if (record === 'end') {
    const outcome = readOutcome(fieldsOf(fields.outcome));
    return outcome && { record, id, outcome };
  }
  if (record !== 'begin') return undefined;
  const step = readStep(fieldsOf(fields.step));
  if (step === undefined || (fields.before !== undefined && !isCount(fields.before))) return undefined;
  const seen = readSeen(fieldsOf(fields.seen));
  return {
    record,
    id,
    step,
    ...(fields.before === undefined ? {} : { before: fields.before }),
    ...(seen === undefined ? {} : { seen }),
  };
}

function readOutcome(fields: Fields | undefined): StepOutcome | undefined {
  switch (fields?.result) {
    case 'changed':
    case 'existed':
    case 'failed':
      return { result: fields.result };
    case 'opened': {
      const device = fieldsOf(fields.device);
      if (!isName(device?.name) || !isCount(device.index) || typeof device.persistent !== 'boolean') return undefined;
      // Its fds were the process's, and mean nothing to anybody else.
      return {
        result: 'opened',
        device: { name: device.name, index: device.index, fd: -1, persistent: device.persistent },
      };
    }
    case 'dns': {
      const applied = readDnsApplied(fieldsOf(fields.applied));
      return applied && { result: 'dns', applied };
    }
    default:
      return undefined;
  }
}

function readSeen(fields: Fields | undefined): SeenBefore | undefined {
  if (fields === undefined || typeof fields.existed !== 'boolean') return undefined;
  const device = fieldsOf(fields.device);
  if (device === undefined) return { existed: fields.existed, device: undefined };
  if (!isName(device.name) || !isCount(device.index)) return undefined;
  return { existed: fields.existed, device: { name: device.name, index: device.index } };
}

/** The steps that leave something to undo; of the others only that they were there. */
function readStep(fields: Fields | undefined): TunnelStep | undefined {
  switch (fields?.kind) {
    case 'add-address': {
      const { device, address, prefixLength, remote, broadcast } = fields;
      if (!isName(device) || !isAddress(address) || !isCount(prefixLength)) return undefined;
      if (!isOptional(remote, isAddress) || !isOptional(broadcast, isAddress)) return undefined;
      return { kind: fields.kind, device, address, prefixLength, remote, broadcast };
    }
    case 'add-route': {
      const route = readRoute(fieldsOf(fields.route));
      return route && { kind: fields.kind, route, shownGateway: undefined };
    }
    case 'remove-route': {
      const route = readRoute(fieldsOf(fields.route));
      return route && { kind: fields.kind, route };
    }
    case 'set-dns':
      return readSetDns(fields);
    case 'open-device':
    case 'set-link-address':
    case 'set-mtu':
    case 'link-up':
    case 'hook':
    case 'say':
      return { kind: 'hook', onApply: undefined, onUndo: undefined };
    default:
      return undefined;
  }
}

function readRoute(fields: Fields | undefined): HostRoute | undefined {
  if (fields === undefined) return undefined;
  const { prefix, gateway, device, metric, table, type, exact } = fields;
  if (!isPrefix(prefix) || !isOptional(gateway, isAddress) || !isOptional(device, isName)) return undefined;
  if (!isOptional(metric, isCount) || !isOptional(table, isCount) || !isOptional(exact, isHex)) return undefined;
  if (type !== undefined && type !== 'unreachable') return undefined;
  return {
    prefix,
    gateway,
    device,
    metric,
    table,
    ...(type === undefined ? {} : { type }),
    ...(exact === undefined ? {} : { exact }),
  };
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 256;
/** Names of devices have at most 15 bytes in the kernel, and neither blanks nor slashes. */
const isName = (value: unknown): value is string => typeof value === 'string' && /^[^\s/:]{1,15}$/.test(value);
const isAddress = (value: unknown): value is string => typeof value === 'string' && parseAddress(value) !== undefined;
const isPrefix = (value: unknown): value is PrefixText =>
  typeof value === 'string' && value.length <= 64 && parsePrefix(value) !== undefined;
const isHex = (value: unknown): value is string => typeof value === 'string' && /^(?:[0-9a-f]{2}){1,4096}$/.test(value);
const isOptional = <T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined =>
  value === undefined || is(value);
