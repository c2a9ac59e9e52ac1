// The scripts of a connection and of its tunnel, and what they are told, which grows as the connection does.

import type { Config } from '../config/config.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import type { CertificateFacts, ScriptEnvironment } from './environment.ts';
import type { ConnectionScripts, KeyMetadata } from './host-port.ts';
import type { TunnelPlan } from './plan.ts';
import type { CertificateFiles, DownRootPort, ScriptPort, TemporaryFiles } from './ports.ts';
import {
  dnsEnvironment,
  ipChangeArguments,
  type ScriptFacts,
  type ScriptRun,
  scriptArguments,
  scriptEnvironment,
  tlsVerifyArguments,
} from './script-environment.ts';
import {
  exportFailed,
  runsOnRestart,
  type ScriptInvocation,
  type ScriptOccasion,
  ScriptRunner,
  scriptFor,
} from './script-plan.ts';
import type { ScriptHook } from './step.ts';
import { trackedCertificate } from './tracked-fields.ts';

export interface HostScriptsPorts {
  readonly scripts: ScriptPort;
  readonly certificateFiles?: CertificateFiles | undefined;
  /** For the metadata of a peer's key (`tls-crypt-v2-verify`). */
  readonly keyFiles?: TemporaryFiles | undefined;
  readonly downRoot?: readonly DownRootPort[];
  /** Runs the program of `dns-updown` with the rights that this process began with; undefined: as any other script. */
  readonly runDnsUpdown?: ((environment: ScriptEnvironment) => ReturnType<ScriptPort['run']>) | undefined;
  readonly log: Log;
  readonly pid: number;
  readonly startUnixSeconds: number;
  /** The profile's file name as scripts see it in `config`. */
  readonly configFile: string | undefined;
}

/** What the tunnel tells scripts, beside what is known of the peer. */
export type TunnelFacts = Pick<ScriptFacts, 'options' | 'plan' | 'redirectGateway' | 'signal'>;

export class HostScripts implements ConnectionScripts {
  readonly #config: Config;
  readonly #ports: HostScriptsPorts;
  readonly #runner: ScriptRunner;
  #facts: ScriptFacts;

  constructor(config: Config, ports: HostScriptsPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#runner = new ScriptRunner(config.scripts.security, ports.scripts, ports.log);
    this.#facts = {
      config,
      configFile: ports.configFile,
      pid: ports.pid,
      startUnixSeconds: ports.startUnixSeconds,
      certificates: [],
      untrusted: undefined,
      trusted: undefined,
      options: undefined,
      plan: undefined,
      run: undefined,
      redirectGateway: undefined,
      signal: undefined,
    };
  }

  /** What a script of this type would see now. */
  environment(type: string): ScriptEnvironment {
    return scriptEnvironment(type, this.#facts);
  }

  /** From now on scripts are told this, too. */
  tell(facts: Partial<TunnelFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  async verifyPeer(chain: readonly CertificateFacts[], remote: SocketAddress): Promise<boolean> {
    const rootFirst = [...chain].reverse();
    this.#facts = { ...this.#facts, untrusted: remote, certificates: [] };
    for (const certificate of rootFirst) {
      const told = trackedCertificate(certificate, this.#config.tls.tracked);
      this.#facts = { ...this.#facts, certificates: [...this.#facts.certificates, told] };
      const invocation = scriptFor('tls-verify', this.#config.scripts, tlsVerifyArguments(certificate));
      if (invocation !== undefined && !(await this.#asksScript(invocation, certificate))) return false;
    }
    return true;
  }

  async verifyKey(metadata: KeyMetadata | undefined): Promise<boolean> {
    const invocation = scriptFor('tls-crypt-v2-verify', this.#config.scripts, []);
    if (invocation === undefined) return true;
    const { keyFiles, log } = this.#ports;
    const path = metadata && keyFiles?.write(metadata.bytes);
    if (metadata === undefined || path === undefined) {
      const why = metadata === undefined ? 'no metadata type' : 'could not write metadata to file';
      log(Level.warning, `ERROR: ${why}`);
      return false;
    }
    try {
      const verdict = await this.#runner.run(invocation, {
        script_type: 'tls-crypt-v2-verify',
        metadata_type: String(metadata.type),
        metadata_file: path,
      });
      log(Level.handshake, `TLS CRYPT V2 VERIFY SCRIPT ${verdict === 'succeeded' ? 'OK' : 'ERROR'}`);
      return verdict === 'succeeded';
    } finally {
      keyFiles?.remove(path);
    }
  }

  async ipChange(remote: SocketAddress): Promise<void> {
    this.#facts = { ...this.#facts, trusted: remote };
    await this.#script('ipchange', ipChangeArguments(remote));
  }

  /** The script of a step, and what belongs to it. Nothing before there is a plan. Rejects where a script's failure ends the connection. */
  async runHook(hook: ScriptHook, run: ScriptRun): Promise<void> {
    const { plan } = this.#facts;
    if (plan === undefined) return;
    if (hook === 'dns-up' || hook === 'dns-down') return this.#dnsUpdown(hook, run.device, plan);
    this.#facts = { ...this.#facts, run };
    await this.#askDownRoot(hook);
    await this.#script(hook, hook === 'route-up' ? [] : scriptArguments(plan, run));
  }

  /** `up` or `down` over a device that stays, where the profile wants it (`up-restart`). */
  async runOnRestart(occasion: 'up' | 'down', plan: TunnelPlan, device: string): Promise<void> {
    if (!runsOnRestart(occasion, this.#config.scripts)) return;
    const run: ScriptRun = { device, context: 'restart' };
    this.#facts = { ...this.#facts, run };
    await this.#script(occasion, scriptArguments(plan, run));
  }

  async #asksScript(invocation: ScriptInvocation, { depth, subject, pem }: CertificateFacts): Promise<boolean> {
    const { certificateFiles, log } = this.#ports;
    const path = certificateFiles?.write(pem);
    if (certificateFiles !== undefined && path === undefined) {
      log(Level.tlsErrors, exportFailed(certificateFiles.directory));
      return false;
    }
    try {
      const verdict = await this.#runner.run(invocation, {
        ...this.environment('tls-verify'),
        ...(path === undefined ? {} : { peer_cert: path }),
      });
      const accepted = verdict === 'succeeded';
      log(Level.handshake, `VERIFY SCRIPT ${accepted ? 'OK' : 'ERROR'}: depth=${depth}, ${subject}`);
      return accepted;
    } finally {
      if (path !== undefined) certificateFiles?.remove(path);
    }
  }

  async #dnsUpdown(hook: 'dns-up' | 'dns-down', device: string, plan: TunnelPlan): Promise<void> {
    const { scripts } = this.#config;
    const { log, runDnsUpdown } = this.#ports;
    const argv = scripts.dnsUpdown;
    if (argv === undefined || typeof argv === 'string') return;
    const environment = dnsEnvironment(hook, device, plan);
    const run =
      runDnsUpdown ?? ((all: ScriptEnvironment) => this.#ports.scripts.run(argv, all, { timeoutMs: undefined }));
    const status = await this.#runner.runDnsUpdown(argv, () => run(environment));
    log(Level.info, `dns ${hook === 'dns-up' ? 'up' : 'down'} command exited with status ${status}`);
  }

  /** Before the script of the same occasion, as plug-ins are. */
  async #askDownRoot(hook: ScriptHook): Promise<void> {
    for (const helper of this.#ports.downRoot ?? []) {
      if (hook === 'up') helper.arm(this.environment('up'));
      else if (hook === 'down' && (await helper.run()) !== 0) {
        this.#ports.log(Level.warning, 'ERROR: up/down plugin call failed');
      }
    }
  }

  async #script(occasion: ScriptOccasion, appended: readonly string[]): Promise<void> {
    const invocation = scriptFor(occasion, this.#config.scripts, appended);
    if (invocation !== undefined) await this.#runner.run(invocation, this.environment(occasion));
  }
}
