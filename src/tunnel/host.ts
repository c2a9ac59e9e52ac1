// The tunnel on this host over a connection's life: device, addresses, routes and scripts are made from a plan, kept over
// restarts under persist-tun, and undone in reverse. It also holds what scripts are told, which grows with the connection.

import type { Config, TunnelOptions } from '../config/config.ts';
import { messageOf } from '../error.ts';
import { formatAddress } from '../ip/address.ts';
import { type SocketAddress, unmapSocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import type { ResolverPort } from '../ports.ts';
import { applyStep, applySteps, type StepPorts, undoEntries, undoSteps } from './apply-steps.ts';
import type { DnsPort } from './dns-port.ts';
import { dnsSetter, setsDns } from './dns-steps.ts';
import type { CertificateFacts, ScriptEnvironment } from './environment.ts';
import { followUplink } from './follow-uplink.ts';
import { type HostFacts, noteCommonSubnet, readHostFacts } from './host-facts.ts';
import type { ConnectionScripts, OpenTunnel, TunnelHost, TunnelRequest } from './host-port.ts';
import { type Ipv6LeakRule, ipv6LeakRule } from './ipv6-leak.ts';
import { Journal, type JournalEntry, type JournalRecord } from './journal.ts';
import { makeTunnelPlan } from './make-plan.ts';
import { leftOutLine, onlyItsNetworks } from './only-its-networks.ts';
import type { TunnelPlan } from './plan.ts';
import { type PlannedSteps, planSteps } from './plan-steps.ts';
import { namesToResolve } from './planning.ts';
import type { CertificateFiles, DevicePort, DownRootPort, NetworkPort, OpenDevice, ScriptPort } from './ports.ts';
import { applyPrivileges, type PrivilegePort, planPrivileges } from './privileges.ts';
import {
  dnsEnvironment,
  ipChangeArguments,
  type ScriptFacts,
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
import { bindDevice, type ScriptHook } from './step.ts';
import { trackedCertificate } from './tracked-fields.ts';
import { type PlacedStep, planUpdate } from './update-steps.ts';

export interface HostPorts {
  readonly devices: DevicePort;
  readonly network: NetworkPort;
  readonly scripts: ScriptPort;
  readonly certificateFiles?: CertificateFiles | undefined;
  readonly downRoot?: readonly DownRootPort[];
  /** Sets name servers of the host; undefined: they are left alone. */
  readonly dns?: DnsPort | undefined;
  /** Runs the program of `dns-updown` with the rights that this process began with; undefined: as any other script. */
  readonly runDnsUpdown?: ((environment: ScriptEnvironment) => ReturnType<ScriptPort['run']>) | undefined;
  readonly privileges: PrivilegePort;
  readonly resolver: ResolverPort;
  /** Keeps each record of the journal where another process finds it, before the step that it announces. */
  readonly keepRecord?: ((record: JournalRecord) => void) | undefined;
  readonly log: Log;
  readonly pid: number;
  readonly startUnixSeconds: number;
  /** Hexadecimal, and no other connection's, of this boot or another one. */
  readonly unique: string;
  /** The profile's file name as scripts see it in `config`. */
  readonly configFile: string | undefined;
}

/** A tunnel that is open, and what its undoing needs. */
interface Standing {
  readonly plan: TunnelPlan;
  readonly steps: PlannedSteps;
  /** The host before the tunnel, which hides behind the tunnel's own routes since. */
  readonly facts: HostFacts;
  readonly device: OpenDevice;
  /** What was pushed, as text: a restart that brings the same keeps the device. */
  readonly pushed: string;
  /** Routes are set: only a tunnel that was up is worth keeping. */
  readonly complete: boolean;
}

export class Host implements TunnelHost, ConnectionScripts {
  readonly #config: Config;
  readonly #ports: HostPorts;
  readonly #journal: Journal;
  readonly #runner: ScriptRunner;
  #facts: ScriptFacts;
  #standing: Standing | undefined;
  #dropped = false;
  #dnsCount = 0;
  /** Name servers that are being set again: whoever is about to take them away waits for that. */
  #dnsTurn: Promise<void> = Promise.resolve();

  constructor(config: Config, ports: HostPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#journal = new Journal(ports.keepRecord);
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

  async #asksScript(invocation: ScriptInvocation, { depth, subject, pem }: CertificateFacts): Promise<boolean> {
    const { certificateFiles, log } = this.#ports;
    const path = certificateFiles?.write(pem);
    if (certificateFiles !== undefined && path === undefined) {
      log(Level.tlsErrors, exportFailed(certificateFiles.directory));
      return false;
    }
    try {
      const verdict = await this.#runner.run(invocation, {
        ...scriptEnvironment('tls-verify', this.#facts),
        ...(path === undefined ? {} : { peer_cert: path }),
      });
      const accepted = verdict === 'succeeded';
      log(Level.handshake, `VERIFY SCRIPT ${accepted ? 'OK' : 'ERROR'}: depth=${depth}, ${subject}`);
      return accepted;
    } finally {
      if (path !== undefined) certificateFiles?.remove(path);
    }
  }

  async ipChange(remote: SocketAddress): Promise<void> {
    this.#facts = { ...this.#facts, trusted: remote };
    await this.#script('ipchange', ipChangeArguments(remote));
  }

  async open(stated: TunnelRequest): Promise<OpenTunnel> {
    const request = this.#scoped(stated);
    const pushed = pushedText(request.tunnel);
    if (this.#standing !== undefined) {
      this.#ports.log(Level.info, `Preserving previous TUN/TAP instance: ${this.#standing.device.name}`);
      if (this.#standing.pushed === pushed) return this.#keep(this.#standing, request.tunnel);
      if (this.#dropped && this.#standing.complete && !this.#ports.devices.mayOpen(this.#config.device.node)) {
        const text =
          'NOTE: Pulled options changed on restart; rights for another device were given up, so this one gets them.';
        this.#ports.log(Level.info, text);
        return this.#update(this.#standing, request);
      }
      this.#ports.log(
        Level.info,
        'NOTE: Pulled options changed on restart, will need to close and reopen TUN/TAP device.',
      );
      await this.#closeDevice(request.letGo);
    }
    const facts = readHostFacts(this.#ports.network, serverOf(request), this.#ports.log);
    if (this.#config.tls.role === 'server') noteCommonSubnet(facts, this.#ports.log);
    const { plan, steps } = await this.#plan(request, facts);
    this.#facts = { ...this.#facts, options: request.tunnel, plan, redirectGateway: undefined, signal: undefined };
    await applySteps(steps.device, this.#journal, this.#stepPorts('init'), this.#ports.log);
    const device = this.#journal.device ?? { name: 'null', index: 0, fd: -1, persistent: false };
    this.#standing = { plan, steps, facts, device, pushed, complete: false };
    return this.#opened(this.#standing, false);
  }

  async update(stated: TunnelRequest): Promise<OpenTunnel> {
    const standing = this.#standing;
    if (standing === undefined || !standing.complete) throw new Error('no tunnel is up that could be updated');
    return this.#update(standing, this.#scoped(stated));
  }

  async #update(standing: Standing, request: TunnelRequest): Promise<OpenTunnel> {
    const { log } = this.#ports;
    const { name } = standing.device;
    const ports = this.#stepPorts('init');
    const { plan, steps } = await this.#plan(request, standing.facts);
    // A restart has taken them out.
    const stands = this.#journal.entries.some(({ step }) => setsDns(step));
    const dnsChanges = !stands || JSON.stringify(plan.dns) !== JSON.stringify(standing.plan.dns);
    if (dnsChanges) await this.#unsetDns(ports);
    const update = planUpdate(this.#journal.entries, steps, name);
    const undo = (ids: ReadonlySet<number>) => undoEntries(this.#journal, ({ id }) => ids.has(id), ports, log);
    const apply = async (placed: readonly PlacedStep[]): Promise<void> => {
      for (const { step, before } of placed) await applyStep(step, this.#journal, ports, log, before);
    };
    await ports.runHook('route-pre-down', name);
    await undo(update.undoRoutes);
    if (this.#config.scripts.downPre) await ports.runHook('down', name);
    await undo(update.undoAddresses);
    if (!this.#config.scripts.downPre) await ports.runHook('down', name);
    this.#facts = { ...this.#facts, options: request.tunnel, plan, redirectGateway: undefined };
    this.#standing = { ...standing, plan, steps, pushed: pushedText(request.tunnel) };
    await apply(update.device);
    if (update.replacedMtu !== undefined) this.#journal.undone(update.replacedMtu);
    if (dnsChanges) await this.#setDns(steps, name);
    await ports.runHook('up', name);
    if (!this.#config.routeNoexec) this.#facts = { ...this.#facts, redirectGateway: plan.redirect4 };
    await apply(update.routes);
    await ports.runHook('route-up', name);
    return this.#opened(this.#standing, true);
  }

  async route(): Promise<boolean> {
    if (this.#standing === undefined) return true;
    const { plan, steps } = this.#standing;
    if (!this.#config.routeNoexec) this.#facts = { ...this.#facts, redirectGateway: plan.redirect4 };
    const { refusedRoutes } = await applySteps(steps.routes, this.#journal, this.#stepPorts('init'), this.#ports.log);
    this.#standing = { ...this.#standing, complete: true };
    return refusedRoutes === 0;
  }

  follow(server: SocketAddress): string | undefined {
    const { network, log } = this.#ports;
    const address = formatAddress(unmapSocketAddress(server).address);
    const standing = this.#standing;
    try {
      if (standing?.complete && followUplink(address, standing.device.name, { journal: this.#journal, network, log })) {
        const { serverGateway4, serverGateway6 } = readHostFacts(network, address, () => {});
        this.#standing = { ...standing, facts: { ...standing.facts, serverGateway4, serverGateway6 } };
      }
      const way = network.lookup(address);
      if (way === undefined || way.device === standing?.device.name) return undefined;
      const via = way.gateway === undefined ? '' : ` via ${way.gateway}`;
      return `${way.device}${via}${way.source === undefined ? '' : ` from ${way.source}`}`;
    } catch {
      return undefined;
    }
  }

  refreshDns(): Promise<void> {
    this.#dnsTurn = this.#dnsTurn.then(() => this.#refreshDns()).catch(() => {});
    return this.#dnsTurn;
  }

  async #refreshDns(): Promise<void> {
    const [standing, applied, { dns, log }] = [this.#standing, this.#journal.dns, this.#ports];
    if (!standing?.complete || applied === undefined || (await dns?.stands(applied)) !== false) return;
    log(Level.info, 'NOTE: another program has written over the name servers of this tunnel: they are set again');
    await this.#unsetDns(this.#stepPorts('init'));
    await this.#setDns(standing.steps, standing.device.name);
  }

  /** What stands on the host of what this tunnel has done to it, oldest first. */
  get changes(): readonly JournalEntry[] {
    return this.#journal.entries;
  }

  scriptEnvironment(type: string): ScriptEnvironment {
    return scriptEnvironment(type, this.#facts);
  }

  dropPrivileges(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    applyPrivileges(planPrivileges(this.#config.process, false), this.#ports.privileges, this.#ports.log);
  }

  async close(
    reason: { signal: string; signalText: string; keep: boolean },
    letGo: () => Promise<void>,
  ): Promise<void> {
    await this.#dnsTurn;
    const standing = this.#standing;
    if (standing === undefined) return;
    const signal = reason.signalText === '' ? reason.signal.toLowerCase() : reason.signalText;
    this.#facts = { ...this.#facts, signal };
    await this.#unsetDns(this.#stepPorts('init'));
    if (!reason.keep || !standing.complete) {
      await this.#closeDevice(letGo);
      return;
    }
    if (!runsOnRestart('down', this.#config.scripts)) return;
    this.#runIn('restart', standing.device.name);
    await this.#script('down', scriptArguments(standing.plan, { device: standing.device.name, context: 'restart' }));
  }

  async #keep(standing: Standing, tunnel: TunnelOptions): Promise<OpenTunnel> {
    this.#facts = { ...this.#facts, options: tunnel, signal: undefined };
    await this.#setDns(standing.steps, standing.device.name);
    if (runsOnRestart('up', this.#config.scripts)) {
      this.#runIn('restart', standing.device.name);
      await this.#script('up', scriptArguments(standing.plan, { device: standing.device.name, context: 'restart' }));
    }
    return this.#opened(standing, true);
  }

  #opened({ plan, device }: Standing, kept: boolean): OpenTunnel {
    return {
      endpoint:
        device.fd < 0
          ? { kind: 'memory' }
          : { kind: 'fd', fd: device.fd, offload: device.offload, queues: device.queues },
      layer: plan.layer,
      mtuBytes: plan.mtuBytes,
      blockIpv6: plan.blockIpv6,
      unreachableFrom: plan.address6?.remote,
      kept,
      name: device.name,
      linkAddress: plan.layer === 'tap' && device.fd >= 0 ? this.#linkAddressOf(device.name) : undefined,
      plan: onDevice(plan, device.name),
    };
  }

  /** Under only-its-networks the tunnel is planned, and scripts are told, without what would make it the way to everything. */
  #scoped(request: TunnelRequest): TunnelRequest {
    if (!this.#config.onlyItsNetworks) return request;
    const { options, leftOut } = onlyItsNetworks(request.tunnel);
    const line = leftOutLine(leftOut);
    if (line !== undefined) this.#ports.log(Level.info, line);
    return { ...request, tunnel: options };
  }

  #linkAddressOf(device: string): string | undefined {
    try {
      return this.#ports.network.linkAddressOf(device);
    } catch (error) {
      this.#ports.log(Level.warning, `WARNING: the Ethernet address of ${device} is not known: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Name servers go first: what asks them would wait for a tunnel that is going. */
  async #unsetDns(ports: StepPorts): Promise<void> {
    await undoEntries(this.#journal, ({ step }) => setsDns(step), ports, this.#ports.log);
  }

  async #setDns({ dns }: PlannedSteps, device: string): Promise<void> {
    const ports = this.#stepPorts('init');
    for (const step of dns) await applyStep(bindDevice(step, device), this.#journal, ports, this.#ports.log);
  }

  async #closeDevice(letGo: () => Promise<void>): Promise<void> {
    this.#standing = undefined;
    try {
      await letGo();
    } finally {
      await undoSteps(this.#journal, this.#stepPorts('init'), this.#ports.log);
    }
  }

  async #plan(request: TunnelRequest, facts: HostFacts): Promise<{ plan: TunnelPlan; steps: PlannedSteps }> {
    const { profile, tunnel, signal } = request;
    const { plan, log: lines } = makeTunnelPlan({
      device: this.#config.device,
      options: tunnel,
      profile: this.#config.tunnel,
      tunMtuBytes: tunnel.tunMtuBytes ?? profile.tunMtuBytes,
      server: serverOf(request),
      ifconfigNowarn: this.#config.ifconfigNowarn,
      ipv6Leak: this.#ipv6LeakRule(tunnel),
      namesOverlaps: this.#config.mode !== 'server',
      facts,
      resolved: await this.#resolveNames(tunnel, signal),
    });
    for (const { flags, text } of lines) this.#ports.log(flags, text);
    const by = dnsSetter(this.#config.scripts, this.#ports.dns !== undefined);
    const id = `${this.#ports.unique}-${++this.#dnsCount}`;
    const steps = planSteps(plan, {
      dns: by === undefined ? undefined : { by, id, onlyItsNetworks: this.#config.onlyItsNetworks },
      node: this.#config.device.node,
      txQueueLength: tunnel.txQueueLength,
      ifconfigNoexec: this.#config.ifconfigNoexec,
      routeNoexec: this.#config.routeNoexec,
      downPre: this.#config.scripts.downPre,
    });
    return { plan, steps };
  }

  /** A server's own routes are its business. */
  #ipv6LeakRule({ blockIpv6 }: TunnelOptions): Ipv6LeakRule | undefined {
    const { mode, blockIpv6Leak, routeNoexec } = this.#config;
    return mode === 'server' ? undefined : ipv6LeakRule({ blockIpv6Leak, blockIpv6, routeNoexec });
  }

  /** Names in routes (allow-pull-fqdn, or the profile's own); one that can't be resolved fails its route alone. */
  async #resolveNames(tunnel: TunnelOptions, signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>> {
    const found = new Map<string, readonly string[]>();
    for (const name of namesToResolve(tunnel)) {
      const addresses = await this.#ports.resolver.resolve(name, 4, signal).catch(() => []);
      signal.throwIfAborted();
      found.set(
        name,
        addresses.map(({ address }) => formatAddress(address)),
      );
    }
    return found;
  }

  #stepPorts(context: 'init' | 'restart'): StepPorts {
    return {
      device: this.#ports.devices,
      network: this.#ports.network,
      dns: this.#ports.dns,
      runHook: (hook, device) => this.#hook(hook, device, context),
    };
  }

  async #hook(hook: ScriptHook, device: string, context: 'init' | 'restart'): Promise<void> {
    const { plan } = this.#facts;
    if (plan === undefined) return;
    if (hook === 'dns-up' || hook === 'dns-down') return this.#dnsUpdown(hook, device, plan);
    this.#runIn(context, device);
    await this.#askDownRoot(hook);
    await this.#script(hook, hook === 'route-up' ? [] : scriptArguments(plan, { device, context }));
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
      if (hook === 'up') helper.arm(scriptEnvironment('up', this.#facts));
      else if (hook === 'down' && (await helper.run()) !== 0) {
        this.#ports.log(Level.warning, 'ERROR: up/down plugin call failed');
      }
    }
  }

  #runIn(context: 'init' | 'restart', device: string): void {
    this.#facts = { ...this.#facts, run: { device, context } };
  }

  async #script(occasion: ScriptOccasion, appended: readonly string[]): Promise<void> {
    const invocation = scriptFor(occasion, this.#config.scripts, appended);
    if (invocation !== undefined) await this.#runner.run(invocation, scriptEnvironment(occasion, this.#facts));
  }
}

const serverOf = ({ remote }: TunnelRequest): string | undefined =>
  remote === undefined ? undefined : formatAddress(unmapSocketAddress(remote).address);

/** What a push reply says about the tunnel, without what is new in every session. */
function pushedText(tunnel: TunnelOptions): string {
  const { authToken, authTokenUser, peerId, cipher, protocolFlags, keyDerivation, verb, mute, echo, ...lasting } =
    tunnel;
  return JSON.stringify(lasting);
}

/** The plan with the name that the kernel gave the device, where only its kind was asked for. */
function onDevice(plan: TunnelPlan, device: string): TunnelPlan {
  const routes = plan.routes.map((route) => (route.device === plan.device ? { ...route, device } : route));
  return { ...plan, device, routes };
}
