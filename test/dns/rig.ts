// A host for the ways of setting name servers: real files in a folder of its own under the names that they have on a host,
// and a bus, programs and processes of the test's making.

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHostDns } from '../../src/dns/host-dns.ts';
import type { DnsBus, DnsFiles, DnsPlatform } from '../../src/dns/ports.ts';
import type { TextCodec } from '../../src/dns/resolv-conf.ts';
import { hostFiles } from '../../src/node/host-files.ts';
import type { DnsBackendName, DnsWanted } from '../../src/tunnel/dns-port.ts';

type Call = Parameters<DnsBus['call']>[0];

const codec: TextCodec = {
  encode: (text) => Buffer.from(text, 'utf8').toString('base64'),
  decode: (text) => Buffer.from(text, 'base64').toString('utf8'),
  hash: (text) => createHash('sha256').update(text, 'latin1').digest('hex'),
};

export class DnsRig {
  readonly root = mkdtempSync(join(tmpdir(), 'sallyport-dns-'));
  readonly calls: Call[] = [];
  readonly programs: { readonly argv: readonly string[]; readonly input: string }[] = [];
  readonly hangUps: number[] = [];
  readonly indexes = new Map([
    ['tun0', 7],
    ['tun1', 8],
  ]);
  owner: string | undefined;
  answer: (call: Call) => Promise<readonly unknown[]> = () => Promise.resolve([]);
  bus: () => Promise<DnsBus> = () =>
    Promise.resolve({
      call: (call) => {
        this.calls.push(call);
        return this.answer(call);
      },
      nameOwner: () => Promise.resolve(this.owner),
      close: () => Promise.resolve(),
    });
  exitCode = 0;

  constructor() {
    for (const folder of ['etc', 'run', 'sbin', 'proc/self/ns']) mkdirSync(this.at(`/${folder}`), { recursive: true });
  }

  at = (path: string): string => join(this.root, path);

  readonly files: DnsFiles = {
    look: (path) => hostFiles.look(this.at(path)),
    put: (path, what) => hostFiles.put(this.at(path), what),
    tidy: (path) => hostFiles.tidy(this.at(path)),
    makeFolder: (path) => hostFiles.makeFolder(this.at(path)),
    read: (path) => hostFiles.read(this.at(path)),
    linkTarget: (path) => hostFiles.linkTarget(this.at(path)),
    names: (path) => hostFiles.names(this.at(path)),
    isProgram: (path) => hostFiles.isProgram(this.at(path)),
  };

  readonly platform: DnsPlatform = {
    files: this.files,
    openBus: () => this.bus(),
    run: (argv, input) => {
      this.programs.push({ argv, input });
      return Promise.resolve({ exitCode: this.exitCode, problem: this.exitCode === 0 ? '' : 'it broke' });
    },
    ended: (argv) => {
      this.programs.push({ argv, input: 'ended?' });
      return Promise.resolve();
    },
    deviceIndex: (device) => this.indexes.get(device),
    hangUp: (pid) => void this.hangUps.push(pid),
    lock: () => Promise.resolve(() => {}),
    hash: codec.hash,
  };

  dns(backend: DnsBackendName | 'auto') {
    return createHostDns({ platform: this.platform, codec, backend, resolvConf: '/etc/resolv.conf' });
  }

  file(path: string, text: string, mode = 0o644): void {
    this.files.put(path, { kind: 'file', text, mode, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
  }

  link(path: string, target: string): void {
    this.files.put(path, { kind: 'link', target });
  }

  end(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export const wanted = (address: string, searchDomains: string[] = [], resolveDomains: string[] = []): DnsWanted => ({
  servers: [
    {
      priority: 0,
      addresses: [{ address, port: undefined }],
      resolveDomains,
      dnssec: undefined,
      transport: undefined,
      sni: undefined,
    },
  ],
  searchDomains,
  onlyItsNetworks: false,
});
