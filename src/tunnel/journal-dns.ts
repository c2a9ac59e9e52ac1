// Name servers in a journal that is read again: the step, and what was done, as far as undoing it needs.

import type { DnsApplied, DnsSetting, FileBefore } from './dns-port.ts';
import { isDnsDevice } from './dns-table.ts';
import { type Fields, fieldsOf, isCount } from './journal-fields.ts';
import type { TunnelStep } from './step.ts';

export function readSetDns({ device, id }: Fields): TunnelStep | undefined {
  if (!isDevice(device) || !isId(id)) return undefined;
  // What was wanted is of no use any more.
  return { kind: 'set-dns', device, id, wanted: { servers: [], searchDomains: [], onlyItsNetworks: false } };
}

/** Undoing never asks what was set. */
const UNKNOWN_SETTING: DnsSetting = {
  servers: [],
  sni: undefined,
  search: [],
  routing: [],
  isDefault: false,
  dnssec: 'no',
  overTls: false,
};

export function readDnsApplied(fields: Fields | undefined): DnsApplied | undefined {
  if (fields === undefined) return undefined;
  const { device, id, backend, way, ifindex, program, name, path, owner, pid, hash } = fields;
  if (!isDevice(device) || !isId(id)) return undefined;
  const common = { device, id, setting: UNKNOWN_SETTING };
  switch (backend) {
    case 'resolved':
      return isCount(ifindex) ? { ...common, backend, ifindex } : undefined;
    case 'resolvconf':
      return isPath(program) && program.endsWith('/resolvconf') && isRecordName(name) && isCount(ifindex)
        ? { ...common, backend, program, name, ifindex }
        : undefined;
    case 'file': {
      const before = readFileBefore(fieldsOf(fields.before));
      return isPath(path) && isHash(hash) && before ? { ...common, backend, path, before, hash } : undefined;
    }
    case 'dnsmasq': {
      if (way === 'bus') return isShort(owner) ? { ...common, backend, way, owner } : undefined;
      const before = readFileBefore(fieldsOf(fields.before));
      return way === 'servers-file' && isPath(path) && isHash(hash) && isCount(pid) && before
        ? { ...common, backend, way, path, pid, before, hash }
        : undefined;
    }
    default:
      return undefined;
  }
}

function readFileBefore(fields: Fields | undefined): FileBefore | undefined {
  switch (fields?.kind) {
    case 'absent':
      return { kind: 'absent' };
    case 'link':
      return isLinkTarget(fields.target) ? { kind: 'link', target: fields.target } : undefined;
    case 'file': {
      const { text, mode, uid, gid } = fields;
      if (typeof text !== 'string' || !isCount(mode) || mode > 0o7777 || !isCount(uid) || !isCount(gid))
        return undefined;
      return { kind: 'file', text, mode, uid, gid };
    }
    default:
      return undefined;
  }
}

const isDevice = (value: unknown): value is string => typeof value === 'string' && isDnsDevice(value);
const isId = (value: unknown): value is string => typeof value === 'string' && /^[A-Za-z0-9-]{1,64}$/.test(value);
const isHash = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const isShort = (value: unknown): value is string => typeof value === 'string' && value.length <= 256;
const isRecordName = (value: unknown): value is string =>
  typeof value === 'string' && isDnsDevice(value.replace(/^tun\./, ''));
const isLinkTarget = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= 4096 && !value.includes('\0');
/** Absolute, and without a way back up. */
const isPath = (value: unknown): value is string =>
  isLinkTarget(value) && value.startsWith('/') && !value.split('/').includes('..');
