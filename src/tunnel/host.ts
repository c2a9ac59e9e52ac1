// The tunnel on this host over a connection's life: device, addresses, routes and scripts are made from a plan, kept over
// restarts under persist-tun, and undone in reverse.

import type { Config, TunnelOptions } from '../config/config.ts';
import { messageOf } from '../error.ts';
import { formatAddress } from '../ip/address.ts';
import { type SocketAddress, unmapSocketAddress } from '../ip/socket-address.ts';
import { Level } from '../log.ts';
import type { ResolverPort } from '../ports.ts';
import { applyStep, applySteps, type StepPorts, undoEntries, undoSteps } from './apply-steps.ts';
import type { DnsPort } from './dns-port.ts';
import { setsDns } from './dns-steps.ts';
import type { ScriptEnvironment } from './environment.ts';
import { followUplink } from './follow-uplink.ts';
import { type HostFacts, noteCommonSubnet, readHostFacts } from './host-facts.ts';
import type { OpenTunnel, TunnelHost, TunnelRequest } from './host-port.ts';
import { HostScripts, type HostScriptsPorts } from './host-scripts.ts';
import { Journal, type JournalEntry, type JournalRecord } from './journal.ts';
import { leftOutLine, onlyItsNetworks } from './only-its-networks.ts';
import type { TunnelPlan } from './plan.ts';
import { planRequest, serverOf } from './plan-request.ts';
import type { PlannedSteps } from './plan-steps.ts';
import type { DevicePort, NetworkPort, OpenDevice } from './ports.ts';
import { applyPrivileges, type PrivilegePort, planPrivileges } from './privileges.ts';
import { bindDevice } from './step.ts';
import { type PlacedStep, planUpdate } from './update-steps.ts';

export interface HostPorts extends HostScriptsPorts {
  readonly devices: DevicePort;
  readonly network: NetworkPort;
  /** Sets name servers of the host; undefined: they are left alone. */
  readonly dns?: DnsPort | undefined;
  readonly privileges: PrivilegePort;
  readonly resolver: ResolverPort;
  /** Keeps each record of the journal where another process finds it, before the step that it announces. */
  readonly keepRecord?: ((record: JournalRecord) => void) | undefined;
  /** Hexadecimal, and no other connection's, of this boot or another one. */
  readonly unique: string;
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

export class Host implements TunnelHost {
  readonly scripts: HostScripts;
  readonly #config: Config;
  readonly #ports: HostPorts;
  readonly #journal: Journal;
  #standing: Standing | undefined;
  #dropped = false;
  #dnsCount = 0;
  /** One sets or takes away name servers, or looks whether they stand, after the other. */
  #dnsTurn: Promise<void> = Promise.resolve();

  constructor(config: Config, ports: HostPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#journal = new Journal(ports.keepRecord);
    this.scripts = new HostScripts(config, ports);
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
    this.scripts.tell({ options: request.tunnel, plan, redirectGateway: undefined, signal: undefined });
    await applySteps(steps.device, this.#journal, this.#stepPorts(), this.#ports.log);
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
    const ports = this.#stepPorts();
    const { plan, steps } = await this.#plan(request, standing.facts);
    // A restart has taken them out.
    const stands = this.#journal.entries.some(({ step }) => setsDns(step));
    const dnsChanges = !stands || JSON.stringify(plan.dns) !== JSON.stringify(standing.plan.dns);
    if (dnsChanges) await this.#inDnsTurn(() => this.#unsetDns(ports));
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
    this.scripts.tell({ options: request.tunnel, plan, redirectGateway: undefined });
    this.#standing = { ...standing, plan, steps, pushed: pushedText(request.tunnel) };
    await apply(update.device);
    if (update.replacedMtu !== undefined) this.#journal.undone(update.replacedMtu);
    if (dnsChanges) await this.#inDnsTurn(() => this.#setDns(steps, name));
    await ports.runHook('up', name);
    if (!this.#config.routeNoexec) this.scripts.tell({ redirectGateway: plan.redirect4 });
    await apply(update.routes);
    await ports.runHook('route-up', name);
    return this.#opened(this.#standing, true);
  }

  async route(): Promise<boolean> {
    if (this.#standing === undefined) return true;
    const { plan, steps } = this.#standing;
    if (!this.#config.routeNoexec) this.scripts.tell({ redirectGateway: plan.redirect4 });
    const { refusedRoutes } = await applySteps(steps.routes, this.#journal, this.#stepPorts(), this.#ports.log);
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
    return this.#inDnsTurn(() => this.#refreshDns()).catch(() => {});
  }

  /** In its turn: whoever looks while they are taken away would set them again, and nobody would take those away. */
  #inDnsTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#dnsTurn.then(work);
    this.#dnsTurn = done.catch(() => {});
    return done;
  }

  async #refreshDns(): Promise<void> {
    const [standing, applied, { dns, log }] = [this.#standing, this.#journal.dns, this.#ports];
    if (!standing?.complete || applied === undefined || (await dns?.stands(applied)) !== false) return;
    log(Level.info, 'NOTE: another program has written over the name servers of this tunnel: they are set again');
    await this.#unsetDns(this.#stepPorts());
    await this.#setDns(standing.steps, standing.device.name);
  }

  /** What stands on the host of what this tunnel has done to it, oldest first. */
  get changes(): readonly JournalEntry[] {
    return this.#journal.entries;
  }

  scriptEnvironment(type: string): ScriptEnvironment {
    return this.scripts.environment(type);
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
    this.scripts.tell({ signal });
    await this.#inDnsTurn(() => this.#unsetDns(this.#stepPorts()));
    if (!reason.keep || !standing.complete) {
      await this.#closeDevice(letGo);
      return;
    }
    await this.scripts.runOnRestart('down', standing.plan, standing.device.name);
  }

  async #keep(standing: Standing, tunnel: TunnelOptions): Promise<OpenTunnel> {
    this.scripts.tell({ options: tunnel, signal: undefined });
    await this.#inDnsTurn(() => this.#setDns(standing.steps, standing.device.name));
    await this.scripts.runOnRestart('up', standing.plan, standing.device.name);
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
    const ports = this.#stepPorts();
    for (const step of dns) await applyStep(bindDevice(step, device), this.#journal, ports, this.#ports.log);
  }

  async #closeDevice(letGo: () => Promise<void>): Promise<void> {
    this.#standing = undefined;
    try {
      await letGo();
    } finally {
      await undoSteps(this.#journal, this.#stepPorts(), this.#ports.log);
    }
  }

  #plan(request: TunnelRequest, facts: HostFacts): ReturnType<typeof planRequest> {
    const { unique, resolver, dns, log } = this.#ports;
    const dnsId = `${unique}-${++this.#dnsCount}`;
    return planRequest(request, this.#config, facts, dnsId, { resolver, setsDns: dns !== undefined, log });
  }

  #stepPorts(): StepPorts {
    return {
      device: this.#ports.devices,
      network: this.#ports.network,
      dns: this.#ports.dns,
      runHook: (hook, device) => this.scripts.runHook(hook, { device, context: 'init' }),
    };
  }
}

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
