// The composition root of what sets the host's name servers: the client's, that of its helper process, and of `recover`.

import { createHash } from 'node:crypto';
import type { Config } from './config/config.ts';
import { createHostDns } from './dns/host-dns.ts';
import type { DnsBus, DnsPlatform } from './dns/ports.ts';
import { lockFolder } from './linux/folder-lock.ts';
import { startDnsHelper } from './linux/helpers.ts';
import { hostFiles } from './node/host-files.ts';
import { runSmallProgram, smallProgramEnded } from './node/small-programs.ts';
import type { DnsBackendName, DnsPort } from './tunnel/dns-port.ts';
import type { HostPorts } from './tunnel/host.ts';
import { HostError } from './tunnel/ports.ts';

const RESOLV_CONF = '/etc/resolv.conf';
/** Not /etc: whoever can open a folder can lock it, for as long as he likes. */
const LOCKED = '/run/sallyport';
const BUS_MS = 3_000;
const LOCK_MS = 5_000;

/** This host. */
export const hostPlatform: DnsPlatform = {
  files: hostFiles,
  openBus: openSystemBus,
  run: runSmallProgram,
  ended: smallProgramEnded,
  deviceIndex(device) {
    const text = device.includes('/') ? undefined : hostFiles.read(`/sys/class/net/${device}/ifindex`);
    return text === undefined ? undefined : Number(text);
  },
  hangUp(pid) {
    try {
      process.kill(pid, 'SIGHUP');
    } catch (error) {
      throw new HostError((error as NodeJS.ErrnoException).code ?? 'EIO', `SIGHUP to ${pid}: ${String(error)}`);
    }
  },
  async lock() {
    hostFiles.makeFolder(LOCKED);
    return lockFolder(LOCKED, LOCK_MS);
  },
  hash: sha256,
};

/** What sets name servers on this host, and undoes what any process of ours has set. */
export const systemDns = (backend: DnsBackendName | 'auto', platform: DnsPlatform = hostPlatform): DnsPort =>
  createHostDns({
    backend,
    resolvConf: RESOLV_CONF,
    codec: {
      encode: (text) => Buffer.from(text, 'utf8').toString('base64'),
      decode: (text) => Buffer.from(text, 'base64').toString('utf8'),
      hash: sha256,
    },
    platform,
  });

/** What a client's host sets name servers with. Nothing is started before it is used. */
export function clientDns(
  { scripts, process: { user, group, chroot } }: Config,
  helper: { readonly url: URL; readonly output?: number | 'ignore' | undefined },
): Pick<HostPorts, 'dns' | 'runDnsUpdown'> & { close(): void } {
  const { dnsBackend: backend, dnsUpdown } = scripts;
  const native = backend === 'none' ? undefined : backend;
  if (user === undefined && group === undefined && chroot === undefined) {
    return { dns: native === undefined ? undefined : systemDns(native), close() {} };
  }
  // Rights are given up later: a process that keeps them does what was asked for before, and undoes it.
  const command = typeof dnsUpdown === 'object' ? dnsUpdown : undefined;
  let started: ReturnType<typeof startDnsHelper> | undefined;
  const ask = async <T>(call: Parameters<Awaited<ReturnType<typeof startDnsHelper>>['ask']>[0]): Promise<T> => {
    started ??= startDnsHelper({ backend, command }, helper);
    return (await (await started).ask(call)) as T;
  };
  const failed = (error: unknown) => ({ result: 'failed' as const, reason: String((error as Error).message) });
  return {
    dns:
      native === undefined
        ? undefined
        : {
            apply: (request) => ask<Awaited<ReturnType<DnsPort['apply']>>>({ type: 'apply', request }).catch(failed),
            undo: (applied) =>
              ask<Awaited<ReturnType<DnsPort['undo']>>>({ type: 'undo', applied: applied.id }).catch(failed),
            stands: (applied) => ask<boolean>({ type: 'stands', applied: applied.id }).catch(() => true),
            clear: ({ id }) => ask<Awaited<ReturnType<DnsPort['undo']>>>({ type: 'undo', applied: id }).catch(failed),
          },
    runDnsUpdown:
      command === undefined
        ? undefined
        : (environment) =>
            ask<Awaited<ReturnType<NonNullable<HostPorts['runDnsUpdown']>>>>({ type: 'script', environment }).catch(
              (error: unknown) => ({ exitCode: undefined, signal: undefined, error: failed(error).reason }),
            ),
    close() {
      void started?.then((running) => running.close()).catch(() => undefined);
    },
  };
}

async function openSystemBus(): Promise<DnsBus> {
  const { openBus, SYSTEM_BUS } = await import('./bus.ts');
  return openBus(SYSTEM_BUS, { timeoutMs: BUS_MS, onLost() {} });
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}
