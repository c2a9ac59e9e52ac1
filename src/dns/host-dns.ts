// The host's name servers as tunnels set them: which way, what of the wishes this way can do, and its inverse. What
// fails is a sentence; nothing here rejects.

import { messageOf } from '../error.ts';
import type { DnsApplied, DnsBackendName, DnsPort } from '../tunnel/dns-port.ts';
import { type DnsAbilities, decideDns } from '../tunnel/dns-table.ts';
import { chooseBackend } from './choose.ts';
import { dnsmasqBackend } from './dnsmasq.ts';
import { fileBackend } from './file.ts';
import type { DnsBackend, DnsPlatform } from './ports.ts';
import type { TextCodec } from './resolv-conf.ts';
import { resolvconfBackend } from './resolvconf.ts';
import { resolvedBackend } from './resolved.ts';

export interface HostDnsOptions {
  readonly platform: DnsPlatform;
  readonly codec: TextCodec;
  /** `auto`: what this host uses. */
  readonly backend: DnsBackendName | 'auto';
  /** Where the C library looks. */
  readonly resolvConf: string;
}

export const DNS_ABILITIES: Readonly<Record<DnsBackendName, DnsAbilities>> = {
  resolved: { ports: true, dnssec: true, overTls: true, split: true },
  resolvconf: { ports: false, dnssec: false, overTls: false, split: false },
  file: { ports: false, dnssec: false, overTls: false, split: false },
  dnsmasq: { ports: true, dnssec: false, overTls: false, split: true },
};

export function createHostDns({ platform, codec, backend, resolvConf }: HostDnsOptions): DnsPort {
  const backends = {
    resolved: resolvedBackend(platform),
    resolvconf: resolvconfBackend(platform),
    file: fileBackend(platform, codec, resolvConf),
    dnsmasq: dnsmasqBackend(platform, codec),
  };
  return {
    async apply({ device, id, wanted }) {
      try {
        const chosen = backend === 'auto' ? chooseBackend(platform, codec, resolvConf).name : backend;
        const first = decideDns(wanted, DNS_ABILITIES[chosen]);
        // dnsmasq can't be made to ask one server for every name.
        const besides = chosen === 'dnsmasq' && first.kind === 'set' && first.setting.isDefault;
        const name = besides ? 'file' : chosen;
        const decision = besides ? decideDns(wanted, DNS_ABILITIES.file) : first;
        if (decision.kind === 'none') return { result: 'nothing', reason: decision.reason };
        const applied = await backends[name].apply(device, id, decision.setting);
        const notes = [
          ...(besides ? [`${resolvConf} names the tunnel's servers in the place of dnsmasq: they get every name`] : []),
          ...(decision.widened
            ? [
                `all names are asked of the tunnel's servers: ${name === 'file' ? 'resolv.conf' : name} has no way to ask for some names only`,
              ]
            : []),
        ];
        return { result: 'applied', applied, notes };
      } catch (error) {
        return { result: 'failed', reason: messageOf(error) };
      }
    },
    async undo(applied) {
      try {
        const undone = await ask(backends, applied, (backend, one) => backend.undo(one));
        return undone === 'restored' ? { result: 'restored' } : { result: 'left', reason: undone.left };
      } catch (error) {
        return { result: 'failed', reason: messageOf(error) };
      }
    },
    async stands(applied) {
      try {
        return await ask(backends, applied, (backend, one) => backend.stands(one));
      } catch {
        return true;
      }
    },
    async clear({ device, id }) {
      const problems: string[] = [];
      for (const way of [backends.file, backends.resolvconf, backends.dnsmasq, backends.resolved]) {
        await way.clear(device, id).catch((error: unknown) => problems.push(messageOf(error)));
      }
      return problems.length === 0 ? { result: 'restored' } : { result: 'failed', reason: problems.join('; ') };
    },
  };
}

interface Backends {
  readonly resolved: ReturnType<typeof resolvedBackend>;
  readonly resolvconf: ReturnType<typeof resolvconfBackend>;
  readonly file: ReturnType<typeof fileBackend>;
  readonly dnsmasq: ReturnType<typeof dnsmasqBackend>;
}

/** Asks the way by which it was applied. */
function ask<T>(
  backends: Backends,
  applied: DnsApplied,
  call: <Applied>(backend: DnsBackend<Applied>, applied: Applied) => T,
): T {
  switch (applied.backend) {
    case 'resolved':
      return call(backends.resolved, applied);
    case 'resolvconf':
      return call(backends.resolvconf, applied);
    case 'file':
      return call(backends.file, applied);
    case 'dnsmasq':
      return call(backends.dnsmasq, applied);
    default:
      return applied satisfies never;
  }
}
