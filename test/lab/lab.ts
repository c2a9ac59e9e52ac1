// One lab for a test file: a net, a PKI, keys, a directory; servers and clients started in it end with their test.

import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { address, createNet, type Namespace, type Net } from './net.ts';
import { type Credential, makePki, type Pki } from './pki.ts';
import type { WatchedProcess } from './process.ts';
import {
  type ClientKind,
  clientCommand,
  clientUnderTest,
  type PeerVersion,
  type Program,
  peerProgram,
  serverUnderTest,
} from './requirements.ts';
import { makeStaticKeys, type StaticKeys } from './static-keys.ts';

export type Transport = 'udp4' | 'udp6' | 'tcp4' | 'tcp6';

const port = 1194;

/** What every server's tunnel looks like unless a test says otherwise. */
export const tunnel = {
  server4: '10.8.0.1',
  client4: '10.8.0.2',
  server6: 'fd00:8::1',
  client6: 'fd00:8::1000',
} as const;

export interface ServerOptions {
  readonly version?: PeerVersion;
  /** Instead of `version`: the program to be tried as a server. */
  readonly program?: Program;
  readonly transport?: Transport;
  readonly port?: number;
  /** Lines beside the base ones. */
  readonly lines?: readonly string[];
  /** Base lines to leave out, by option name. */
  readonly without?: readonly string[];
}

export interface ClientOptions {
  readonly kind?: ClientKind;
  /** Where it runs; the router can be a second client's host. */
  readonly namespace?: Namespace;
  readonly transport?: Transport;
  readonly port?: number;
  readonly device?: string;
  /** Whose certificate it shows, in place of `client`'s; null for none. */
  readonly certificate?: Credential | null;
  readonly lines?: readonly string[];
  readonly without?: readonly string[];
  /** Arguments after `--config FILE`. */
  readonly args?: readonly string[];
  /** The whole command line instead of `--config FILE` with the lines above. */
  readonly argv?: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdin?: string;
  /** Runs it on a terminal of its own, which `write` types on and `prompt` reads. */
  readonly terminal?: boolean;
  /** A command before the client's, such as a shell that changes its surroundings and then becomes the client. */
  readonly prefix?: readonly string[];
}

/** A line that says the tunnel is up. */
export const up = /Initialization Sequence Completed/;

export class Lab {
  readonly net: Net;
  readonly pki: Pki;
  readonly keys: StaticKeys;
  /** Emptied by nobody while the file runs; world-readable, so that dropped privileges can look into it. */
  readonly dir: string;
  readonly #started = new Set<WatchedProcess>();
  #files = 0;

  private constructor(net: Net, pki: Pki, keys: StaticKeys, dir: string) {
    this.net = net;
    this.pki = pki;
    this.keys = keys;
    this.dir = dir;
  }

  static async open(): Promise<Lab> {
    const dir = await mkdtemp(join(tmpdir(), 'sallyport-lab-'));
    const opening = createNet(dir);
    try {
      await chmod(dir, 0o755);
      const [net, pki, keys] = await Promise.all([opening, makePki(join(dir, 'pki')), makeStaticKeys(dir)]);
      return new Lab(net, pki, keys, dir);
    } catch (error) {
      await opening.then(
        (net) => net.close(),
        () => {},
      );
      throw error;
    }
  }

  /** A file of this lab with the given text; returns its path. */
  async file(name: string, text: string, mode = 0o644): Promise<string> {
    this.#files += 1;
    const path = join(this.dir, `${this.#files}-${name}`);
    await writeFile(path, text);
    await chmod(path, mode);
    return path;
  }

  /** A new directory. */
  async directory(name: string, mode = 0o755): Promise<string> {
    this.#files += 1;
    const path = join(this.dir, `${this.#files}-${name}`);
    await mkdir(path);
    await chmod(path, mode);
    return path;
  }

  serverLines(options: ServerOptions = {}): readonly string[] {
    const { transport = 'udp4' } = options;
    return [
      ...without(
        [
          `proto ${transport.startsWith('tcp') ? `tcp${transport.slice(3)}-server` : transport}`,
          `port ${options.port ?? port}`,
          'dev tun',
          'topology subnet',
          'server 10.8.0.0 255.255.255.0',
          'server-ipv6 fd00:8::/64',
          `ca ${this.pki.ca.cert}`,
          `cert ${this.pki.server.cert}`,
          `key ${this.pki.server.key}`,
          'dh none',
          'verb 4',
        ],
        options.without,
      ),
      ...(options.lines ?? []),
    ];
  }

  /** Starts a real server and waits until it serves. */
  async server(options: ServerOptions = {}): Promise<WatchedProcess> {
    const server = await this.startServer(options);
    await server.line(up);
    return server;
  }

  /** Starts the server under test and waits until it serves. */
  async serve(options: ServerOptions = {}): Promise<WatchedProcess> {
    return this.server({ program: serverUnderTest, ...options });
  }

  /** Starts a server; it may be starting, or about to refuse its configuration, when this resolves. */
  async startServer(options: ServerOptions = {}): Promise<WatchedProcess> {
    const { program, version = '2.6' } = options;
    const command = program === undefined ? [peerProgram(version)] : clientCommand(program);
    const config = await this.file('server.conf', `${this.serverLines(options).join('\n')}\n`);
    const server = this.net.server.watch([...command, '--config', config], {
      name: `${program ?? `openvpn ${version}`} (server)`,
      cwd: this.dir,
    });
    this.#started.add(server);
    return server;
  }

  clientLines(options: ClientOptions = {}): readonly string[] {
    const { transport = 'udp4' } = options;
    const host = transport.endsWith('6') ? address.server6 : address.server4;
    const certificate = options.certificate === undefined ? this.pki.client : options.certificate;
    return [
      ...without(
        [
          'client',
          `dev ${options.device ?? 'tun'}`,
          'nobind',
          `remote ${host} ${options.port ?? port} ${transport.startsWith('tcp') ? `tcp${transport.slice(3)}-client` : transport}`,
          `ca ${this.pki.ca.cert}`,
          ...(certificate === null ? [] : [`cert ${certificate.cert}`, `key ${certificate.key}`]),
          'remote-cert-tls server',
          'verb 4',
        ],
        options.without,
      ),
      ...(options.lines ?? []),
    ];
  }

  clientConfig(options: ClientOptions = {}): Promise<string> {
    return this.file('client.conf', `${this.clientLines(options).join('\n')}\n`);
  }

  /** Starts the client under test; it may still be connecting when this resolves. */
  async client(options: ClientOptions = {}): Promise<WatchedProcess> {
    const argv = options.argv ?? ['--config', await this.clientConfig(options), ...(options.args ?? [])];
    const kind = options.kind ?? clientUnderTest;
    const command = [...(options.prefix ?? []), ...clientCommand(kind), ...argv];
    const client = (options.namespace ?? this.net.client).watch(
      options.terminal === true ? onTerminal(command) : command,
      {
        name: `${kind} (client)`,
        cwd: options.cwd ?? this.dir,
        env: options.env,
        stdin: options.stdin,
        keepStdin: options.terminal,
      },
    );
    this.#started.add(client);
    return client;
  }

  /** Starts the client under test and waits for the tunnel. */
  async connect(options: ClientOptions = {}): Promise<WatchedProcess> {
    const client = await this.client(options);
    await client.line(up);
    return client;
  }

  /** Ends by SIGKILL whatever a test started, and what that started in turn; agents stay. */
  async endTest(): Promise<void> {
    await Promise.all([...this.#started].map((process) => process.kill()));
    this.#started.clear();
    for (const namespace of [this.net.client, this.net.router, this.net.server]) {
      await namespace.killAllButAgent();
      // What a test killed is not to be put right in the next one.
      await rm(join(namespace.stateFolder, 'journal'), { recursive: true, force: true });
    }
    await this.net.resetClient();
  }

  async close(): Promise<void> {
    await this.endTest();
    await this.net.close();
  }
}

/** Opens a lab before the tests of a suite and closes it after them; the function returns it inside a test. */
export function useLab(): () => Lab {
  let lab: Lab | undefined;
  const opened = (): Lab => {
    if (!lab) throw new Error('the lab is open only inside a test');
    return lab;
  };
  beforeAll(async () => {
    lab = await Lab.open();
  });
  afterEach(() => opened().endTest());
  afterAll(() => lab?.close());
  return opened;
}

/** The command under script(1), whose standard input and output are the terminal's other end. */
function onTerminal(command: readonly string[]): readonly string[] {
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  return ['script', '-qec', `exec ${quoted}`, '/dev/null'];
}

function without(lines: readonly string[], names: readonly string[] = []): readonly string[] {
  return lines.filter((line) => !names.includes(line.split(' ', 1)[0] ?? ''));
}
