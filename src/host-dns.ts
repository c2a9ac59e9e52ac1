// The composition root of what sets the host's name servers: the client's, that of its helper process, and of `recover`.

import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createHostDns } from './dns/host-dns.ts';
import type { DnsBus } from './dns/ports.ts';
import { lockFolder } from './linux/folder-lock.ts';
import { hostFiles } from './node/host-files.ts';
import { runSmallProgram } from './node/small-programs.ts';
import type { DnsBackendName, DnsPort } from './tunnel/dns-port.ts';
import { HostError } from './tunnel/ports.ts';

const RESOLV_CONF = '/etc/resolv.conf';
const SYSTEM_BUS = 'unix:path=/run/dbus/system_bus_socket';
const BUS_MS = 3_000;
const LOCK_MS = 5_000;

/** What sets name servers on this host, and undoes what any process of ours has set. */
export const systemDns = (backend: DnsBackendName | 'auto'): DnsPort =>
  createHostDns({
    backend,
    resolvConf: RESOLV_CONF,
    codec: {
      encode: (text) => Buffer.from(text, 'utf8').toString('base64'),
      decode: (text) => Buffer.from(text, 'base64').toString('utf8'),
      hash: sha256,
    },
    platform: {
      files: hostFiles,
      openBus: openSystemBus,
      run: runSmallProgram,
      deviceIndex(device) {
        const text = hostFiles.read(`/sys/class/net/${device}/ifindex`);
        return text === undefined || device.includes('/') ? undefined : Number(text);
      },
      hangUp(pid) {
        try {
          process.kill(pid, 'SIGHUP');
        } catch (error) {
          throw new HostError((error as NodeJS.ErrnoException).code ?? 'EIO', `SIGHUP to ${pid}: ${String(error)}`);
        }
      },
      lock: (folder) => lockFolder(folder, LOCK_MS),
      hash: sha256,
      newId: randomUUID,
    },
  });

const sha256 = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');
