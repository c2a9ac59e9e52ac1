// The programs of a server's configuration: what they are started with, and what their answers mean. Answers may be put
// off: by exit code 2 and a control file (auth-user-pass-verify), or by a file with a 2 in it (client-connect). Facts:
// OpenVPN 2.6.14 and 2.7.8.

import type { Config } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import type { PeerCertificate } from '../control/tls-engine.ts';
import { formatAddress } from '../ip/address.ts';
import { unmapSocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import { wait } from '../peer/wait.ts';
import type { ClockPort } from '../ports.ts';
import type { ScriptEnvironment } from '../tunnel/environment.ts';
import type { CertificateFiles, ScriptPort } from '../tunnel/ports.ts';
import { tlsVerifyArguments } from '../tunnel/script-environment.ts';
import { exportFailed, SCRIPTS_NOT_ALLOWED, scriptFailure } from '../tunnel/script-plan.ts';
import { trackedCertificate } from '../tunnel/tracked-fields.ts';
import type { WrappedMetadata } from '../wire/tls-crypt-v2.ts';
import type { ClientFacts } from './client-facts.ts';
import type { Dialog } from './dialog.ts';
import type { PasswordPlugin, ServerFiles } from './ports.ts';
import { ProgramLane } from './program-lane.ts';
import type {
  EnvironmentExtras,
  PasswordVerdict,
  ScriptOutput,
  ServerScripts,
  TokenSession,
  Traffic,
} from './scripts.ts';
import {
  type ClientScriptFacts,
  cleanCredential,
  clientEnvironment,
  credentialsFileText,
  DELETED_ADDRESS_ENVIRONMENT,
  learnAddressArguments,
  metadataEnvironment,
  NO_CLIENT_FACTS,
  type ServerScriptType,
} from './server-environment.ts';

export interface ScriptCallsPorts {
  readonly scripts: ScriptPort;
  readonly files: ServerFiles;
  readonly certificateFiles?: CertificateFiles | undefined;
  readonly passwordPlugins?: readonly PasswordPlugin[];
  readonly clock: ClockPort;
  readonly log: Log;
  /** `2026-11-28 21:16:35` in the host's time zone. */
  localTime(unixSeconds: number): string;
  /** What the `up` script would see, with a variable for each socket. */
  base(): ScriptEnvironment;
}

type RunResult = Awaited<ReturnType<ScriptPort['run']>>;

interface ConnectAnswer {
  readonly accept: boolean;
  readonly options: readonly ScriptOutput[];
}

/** How often a file that a program may write to is looked at. */
const POLL_MS = 1000;
const ANSWER_LIMIT_BYTES = 64 * 1024;
const OUTPUT_LIMIT_BYTES = 1024 * 1024;
const DEFERRED = 2;
/** The level of `script-security` from which passwords are in an environment. */
const PASSWORDS_SEEN = 3;

/** How a program is run. */
interface RunManner {
  /**
   * `queued`: a client caused it; it stands in the lane, and its end is not waited for when the server ends. `stopped`:
   * nor is that of this one, but it has a limit of its own (key-checks.ts). undefined: it runs to its end.
   */
  readonly manner?: 'queued' | 'stopped';
  /** Exit codes that mean no failure; default: 0. */
  readonly good?: readonly number[];
  /** Its client is gone: a program that has not begun is not begun any more. */
  readonly gone?: AbortSignal;
}

export class ScriptCalls implements ServerScripts {
  #config: Config;
  #server: ServerOptions;
  readonly #ports: ScriptCallsPorts;
  #timeoutMs: number;
  readonly #lane = new ProgramLane();
  /** Files whose names stay in a client's environment, and its state of auth-gen-token. */
  readonly #known = new WeakMap<ClientFacts, Partial<ClientScriptFacts>>();
  readonly #connecting = new WeakMap<ClientFacts, Promise<ConnectAnswer>>();
  readonly #temporaries = new Set<string>();
  #warned = false;

  constructor(config: Config, server: ServerOptions, ports: ScriptCallsPorts) {
    this.#config = config;
    this.#server = server;
    this.#ports = ports;
    this.#timeoutMs = config.tls.handWindowSeconds * 1000;
  }

  get checksKeys(): boolean {
    return this.#server.scripts.tlsCryptV2Verify !== undefined;
  }

  get checksPasswords(): boolean {
    const { passwordPlugins = [] } = this.#ports;
    return this.#server.scripts.authUserPassVerify !== undefined || passwordPlugins.length > 0;
  }

  /** Other programs from now on; what is known of clients, and the files of those that run, stay. */
  reload(config: Config, server: ServerOptions): void {
    this.#config = config;
    this.#server = server;
    this.#timeoutMs = config.tls.handWindowSeconds * 1000;
  }

  async verifyKey(metadata: WrappedMetadata | undefined, log: Log): Promise<boolean> {
    const command = this.#server.scripts.tlsCryptV2Verify;
    if (command === undefined) return true;
    if (metadata === undefined) {
      log(Level.warning, 'ERROR: no metadata type');
      return false;
    }
    const { files } = this.#ports;
    const path = this.#temporary('tls_crypt_v2_metadata');
    try {
      files.replace(path, metadata.bytes);
      const environment = metadataEnvironment(metadata.type, path);
      const accepted =
        (await this.#run({ log }, '--tls-crypt-v2-verify', command, environment, { manner: 'stopped' }))?.exitCode ===
        0;
      log(Level.handshake, `TLS CRYPT V2 VERIFY SCRIPT ${accepted ? 'OK' : 'ERROR'}`);
      return accepted;
    } finally {
      this.#remove(path);
    }
  }

  async verifyPeer(client: ClientFacts, chain: ClientFacts['chain']): Promise<boolean> {
    const command = this.#config.scripts.tlsVerify;
    if (command === undefined) return true;
    const rootFirst = [...chain].reverse();
    for (const [index, certificate] of rootFirst.entries()) {
      // At a renegotiation all that was known stays known.
      const known = [...client.chain].reverse();
      const seen = {
        certificates: rootFirst.slice(0, index + 1),
        known: known.filter(({ depth }) => depth < certificate.depth),
      };
      const accepted = await this.#verifyCertificate(client, certificate, [
        [...command, ...tlsVerifyArguments(certificate)],
        this.#environment('tls-verify', client, seen),
      ]);
      const { depth, subject } = certificate;
      client.log(Level.handshake, `VERIFY SCRIPT ${accepted ? 'OK' : 'ERROR'}: depth=${depth}, ${subject}`);
      if (!accepted) return false;
    }
    return true;
  }

  async #verifyCertificate(
    client: ClientFacts,
    certificate: PeerCertificate,
    [argv, environment]: readonly [argv: readonly string[], environment: ScriptEnvironment],
  ): Promise<boolean> {
    const { certificateFiles } = this.#ports;
    const path = certificateFiles?.write(certificate.pem);
    if (certificateFiles !== undefined && path === undefined) {
      client.log(Level.tlsErrors, exportFailed(certificateFiles.directory));
      return false;
    }
    if (path !== undefined) this.#temporaries.add(path);
    try {
      const told = path === undefined ? environment : { ...environment, peer_cert: path };
      return (await this.#run(client, '--tls-verify script', argv, told, { manner: 'queued' }))?.exitCode === 0;
    } finally {
      if (path !== undefined) this.#remove(path);
    }
  }

  async verifyPassword(
    client: ClientFacts,
    credentials: { readonly username: string; readonly password: string },
    session: TokenSession | undefined,
    dialog: Dialog,
  ): Promise<PasswordVerdict> {
    const script = this.#server.scripts.authUserPassVerify;
    const { files, passwordPlugins = [] } = this.#ports;
    const { log } = client;
    const username = cleanCredential(credentials.username);
    const password = cleanCredential(credentials.password);
    for (const plugin of passwordPlugins) {
      if (!(await this.#askPlugin(plugin, client, { username, password }))) return { accept: false, reason: undefined };
      dialog.signal.throwIfAborted();
    }
    if (script === undefined) return { accept: passwordPlugins.length > 0 ? true : undefined, reason: undefined };
    const authFiles = {
      control: this.#temporary('acf'),
      pending: this.#temporary('apf'),
      failedReason: this.#temporary('afr'),
    };
    const byFile = script.by === 'file' ? this.#temporary('up') : undefined;
    try {
      if (byFile !== undefined) files.replace(byFile, credentialsFileText(username, password));
      this.#remember(client, {
        authFiles,
        session,
      });
      const environment = this.#environment('user-pass-verify', client, {
        username,
        password: byFile === undefined ? password : undefined,
      });
      const argv = byFile === undefined ? script.argv : [...script.argv, byFile];
      const result = await this.#run(client, '--auth-user-pass-verify', argv, environment, {
        manner: 'queued',
        good: [0, DEFERRED],
        gone: dialog.signal,
      });
      let accept = result?.exitCode === 0;
      if (result?.exitCode === DEFERRED) {
        log(Level.handshake, `TLS: Username/Password authentication deferred for username '${username}' `);
        const asked = this.#askClient(authFiles.pending, dialog, log);
        if (!asked.accept) return asked;
        accept = await this.#deferredAnswer(authFiles.control, dialog.signal);
      }
      const reason = accept ? undefined : this.#firstLine(authFiles.failedReason);
      return { accept, reason };
    } finally {
      for (const path of [authFiles.control, authFiles.pending, authFiles.failedReason]) this.#remove(path);
      if (byFile !== undefined) this.#remove(byFile);
    }
  }

  async #askPlugin(
    { name, path, verify }: PasswordPlugin,
    client: ClientFacts,
    login: { readonly username: string; readonly password: string },
  ): Promise<boolean> {
    const { log, commonName = '', untrusted } = client;
    if (login.username === '') return false;
    const remote = formatAddress(unmapSocketAddress(untrusted).address);
    const { accepted, problem, questions } = await verify({ ...login, commonName, remote }, this.#timeoutMs);
    const called = `PLUGIN_CALL: POST ${path}/PLUGIN_AUTH_USER_PASS_VERIFY status=${accepted ? 0 : 1}`;
    for (const question of questions)
      log(Level.multiDebug, `${name}: BACKGROUND: my_conv ${cleanCredential(question)}`);
    if (!accepted) {
      const why = cleanCredential(problem);
      log(Level.error, `${name}: BACKGROUND: user '${login.username}' failed to authenticate: ${why}`);
    }
    log(Level.plugin, called);
    if (!accepted) {
      log(Level.warning, `PLUGIN_CALL: plugin function PLUGIN_AUTH_USER_PASS_VERIFY failed with status 1: ${path}`);
    }
    return accepted;
  }

  connect(client: ClientFacts, signal: AbortSignal): Promise<ConnectAnswer> {
    const asking = this.#connect(client, signal);
    this.#connecting.set(client, asking);
    return asking;
  }

  async #connect(client: ClientFacts, signal: AbortSignal): Promise<ConnectAnswer> {
    const command = this.#server.scripts.clientConnect;
    if (command === undefined) return { accept: true, options: [] };
    const { files } = this.#ports;
    const connectFiles = { config: this.#temporary('cc'), deferred: this.#temporary('ccr') };
    try {
      const environment = this.#environment('client-connect', client, { connectFiles });
      const result = await this.#run(client, '--client-connect', [...command, connectFiles.config], environment, {
        manner: 'queued',
        gone: signal,
      });
      let accept = result?.exitCode === 0;
      if (accept && this.#answer(connectFiles.deferred) === '2') {
        accept = await this.#deferredAnswer(connectFiles.deferred, signal);
      } else if (accept && this.#answer(connectFiles.deferred) === '0') accept = false;
      const text = accept ? (files.read(connectFiles.config, OUTPUT_LIMIT_BYTES) ?? '') : '';
      return { accept, options: text === '' ? [] : [{ file: connectFiles.config, text }] };
    } finally {
      this.#remove(connectFiles.config);
      this.#remove(connectFiles.deferred);
    }
  }

  async disconnect(client: ClientFacts, traffic: Traffic, nowUnixSeconds: number): Promise<void> {
    const command = this.#server.scripts.clientDisconnect;
    if (command === undefined) return;
    // What one program sets up and the other takes down is not done at the same time.
    await this.#connecting.get(client)?.catch(() => {});
    const since = client.connectedUnixSeconds === 0 ? nowUnixSeconds : client.connectedUnixSeconds;
    const ended = {
      receivedBytes: traffic.bytesReceived,
      sentBytes: traffic.bytesSent,
      durationSeconds: Math.max(0, nowUnixSeconds - since),
    };
    await this.#run(client, '--client-disconnect', command, this.#environment('client-disconnect', client, { ended }));
  }

  environment(client: ClientFacts, { password, ended }: EnvironmentExtras = {}): ScriptEnvironment {
    return this.#environment(undefined, client, {
      password,
      ended: ended && {
        receivedBytes: ended.bytesReceived,
        sentBytes: ended.bytesSent,
        durationSeconds: ended.durationSeconds,
      },
    });
  }

  async learnAddress(
    type: 'add' | 'update' | 'delete',
    prefix: string,
    client: ClientFacts | undefined,
  ): Promise<boolean> {
    const command = this.#server.scripts.learnAddress;
    if (command === undefined) return true;
    const environment =
      client === undefined ? DELETED_ADDRESS_ENVIRONMENT : this.#environment('learn-address', client, {});
    const argv = [...command, ...learnAddressArguments(type, prefix, client?.name)];
    return (await this.#run(client, '--learn-address', argv, environment))?.exitCode === 0;
  }

  async crResponse(client: ClientFacts, base64: string): Promise<void> {
    const command = this.#server.scripts.clientCrResponse;
    if (command === undefined) return;
    const { files } = this.#ports;
    const path = this.#temporary('cr');
    try {
      files.replace(path, base64);
      await this.#run(
        client,
        '--client-crresponse',
        [...command, path],
        this.#environment('client-crresponse', client, {}),
        { manner: 'queued' },
      );
    } finally {
      this.#remove(path);
    }
  }

  close(): void {
    this.#lane.stop();
    for (const path of [...this.#temporaries]) this.#remove(path);
  }

  #temporary(prefix: string): string {
    const path = this.#ports.files.temporary(prefix);
    this.#temporaries.add(path);
    return path;
  }

  #remove(path: string): void {
    this.#temporaries.delete(path);
    this.#ports.files.remove(path);
  }

  /** `type` undefined: for no script; whoever asks may see passwords. */
  #environment(
    type: ServerScriptType | undefined,
    client: ClientFacts,
    more: Partial<ClientScriptFacts>,
  ): ScriptEnvironment {
    const { localTime, base } = this.#ports;
    const introduced = client.connectedUnixSeconds !== 0;
    const facts: ClientScriptFacts = {
      ...NO_CLIENT_FACTS,
      certificates: [...client.chain].reverse(),
      commonName: client.name ?? client.commonName,
      untrusted: client.untrusted,
      trusted: client.trusted,
      peerInfo: client.peerInfoText,
      username: client.username,
      addresses: introduced ? client.addresses : undefined,
      withNetmask: this.#config.device.type === 'tap' || this.#config.tunnel.topology === 'subnet',
      connected: introduced
        ? { unixSeconds: client.connectedUnixSeconds, localTime: localTime(client.connectedUnixSeconds) }
        : undefined,
      ...this.#known.get(client),
      ...more,
    };
    const { tracked } = this.#config.tls;
    const certificates = facts.certificates.map((certificate) => trackedCertificate(certificate, tracked));
    const security = type === undefined ? PASSWORDS_SEEN : this.#config.scripts.security;
    return clientEnvironment(type, base(), { ...facts, certificates }, security);
  }

  #remember(client: ClientFacts, facts: Partial<ClientScriptFacts>): void {
    this.#known.set(client, { ...this.#known.get(client), ...facts });
  }

  /** undefined: it may not be run at all, or its client was `gone`, or out of time, before it could. */
  async #run(
    client: Pick<ClientFacts, 'log'> | undefined,
    name: string,
    argv: readonly string[],
    environment: ScriptEnvironment,
    { manner, good = [0], gone }: RunManner = {},
  ): Promise<RunResult | undefined> {
    const { scripts } = this.#ports;
    const log = client?.log ?? this.#ports.log;
    if (this.#config.scripts.security < 2) {
      if (!this.#warned) log(Level.warning, SCRIPTS_NOT_ALLOWED);
      this.#warned = true;
      log(Level.warning, `WARNING: Failed running command (${name}): disallowed by script-security setting`);
      return undefined;
    }
    const timeoutMs = this.#timeoutMs;
    const { signal } = this.#lane;
    const result =
      manner !== 'queued'
        ? await scripts.run(argv, environment, manner === 'stopped' ? { timeoutMs, signal } : { timeoutMs })
        : await this.#lane.run((leftMs, stop) => scripts.run(argv, environment, { timeoutMs: leftMs, signal: stop }), {
            timeoutMs,
            clock: this.#ports.clock,
            ...(gone && { gone }),
          });
    if (result === undefined) return undefined;
    if (result.error === undefined && result.exitCode !== undefined && good.includes(result.exitCode)) return result;
    log(Level.warning, `WARNING: Failed running command (${name}): ${scriptFailure(result)}`);
    return result;
  }

  /** Tells the client what the program wants it to be told while it waits; refused when the client can't do that. */
  #askClient(
    path: string,
    dialog: Dialog,
    log: Log,
  ): { readonly accept: boolean; readonly reason: string | undefined } {
    const text = this.#read(path);
    if (text === '') return { accept: true, reason: undefined };
    const [timeout = '', method = '', extra = ''] = text.split('\n');
    if (text.split('\n').length < 3 || !/^[0-9]{1,9}$/.test(timeout)) {
      log(Level.warning, 'auth pending control file is not at least three lines long.');
      return { accept: false, reason: undefined };
    }
    if (!dialog.supports(method)) {
      log(Level.info, `Client does not supported auth pending method '${cleanCredential(method)}'`);
      return {
        accept: false,
        reason: `Authentication failed, required pending auth method '${cleanCredential(method)}' not supported`,
      };
    }
    dialog.pending(extra, Number(timeout));
    return { accept: true, reason: undefined };
  }

  /** Waits until a file says 1 or 0. Rejects when nobody waits any more. */
  async #deferredAnswer(path: string, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const answer = this.#answer(path);
      if (answer === '1') return true;
      if (answer === '0') return false;
      signal.throwIfAborted();
      await wait(this.#ports.clock, POLL_MS, signal);
      signal.throwIfAborted();
    }
  }

  #answer(path: string): string {
    return this.#read(path).charAt(0);
  }

  #firstLine(path: string): string | undefined {
    const line = this.#read(path).split('\n', 1)[0]?.trim() ?? '';
    return line === '' ? undefined : line;
  }

  #read(path: string): string {
    return this.#ports.files.read(path, ANSWER_LIMIT_BYTES) ?? '';
  }
}
