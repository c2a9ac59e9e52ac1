// The service on the bus: calls become events of the machine, its effects become signals, answers and processes.

import { type Bus, BusError, type BusObject } from '../../src/bus.ts';
import { messageOf } from '../../src/error.ts';
import { configOfLines } from '../../src/handed-device.ts';
import type { Authorise } from './callers.ts';
import type { ClientEvents, ClientOrder, ClientProcess } from './client-process.ts';
import { type NmConnection, readConnection } from './connection.ts';
import { Failure } from './failure.ts';
import { ERROR_PREFIX, METHODS, type MethodName, PLUGIN_INTERFACE, PLUGIN_PATH, SIGNALS } from './interface.ts';
import { CONFIG_TYPES, IP4_TYPES, IP6_TYPES, ipConfigOf, typedDictionary } from './ip-config.ts';
import { isEncryptedKey } from './key-files.ts';
import { type Effect, ServiceMachine, ServiceState } from './machine.ts';
import type { FromClient } from './messages.ts';
import { configLines } from './option-lines.ts';
import { badArguments, PluginError } from './plugin-error.ts';
import { type ChallengeHints, needsSecrets, SecretStore } from './secrets.ts';
import { type NamedFile, type NmSettings, readLines, readSettings } from './settings.ts';

export interface PluginPorts {
  readonly bus: Pick<Bus, 'export' | 'subscribe'>;
  readonly authorise: Authorise;
  readonly nowMs: () => number;
  /** Calls back once; the function given back forgets it. */
  readonly after: (ms: number, callback: () => void) => () => void;
  readonly readFiles: (
    files: readonly NamedFile[],
    users: readonly string[],
  ) => Promise<ReadonlyMap<string, Uint8Array>>;
  readonly startClient: (order: ClientOrder, events: ClientEvents) => ClientProcess;
  readonly log: (level: 'notice' | 'warning', text: string) => void;
  readonly clientLog: (flags: number, text: string) => void;
  /** The service should end; everything was sent. */
  readonly quit: () => void;
}

export interface PluginOptions {
  readonly persist: boolean;
  /** End when whoever called Connect leaves the bus. */
  readonly followsCaller: boolean;
  readonly clientVerb: number;
  readonly challengeHints: ChallengeHints;
}

/** What is known of the connection that runs. */
interface Run {
  readonly connection: NmConnection;
  readonly settings: NmSettings;
}

export class Plugin {
  readonly #ports: PluginPorts;
  readonly #options: PluginOptions;
  readonly #machine: ServiceMachine;
  readonly #object: BusObject;
  #run: Run | undefined;
  #client: ClientProcess | undefined;
  #clientGone: Promise<void> = Promise.resolve();
  #banner: string[] = [];
  #cancelTimer: () => void = () => {};
  #unfollow: () => void = () => {};

  constructor(ports: PluginPorts, options: PluginOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#machine = new ServiceMachine({ persist: options.persist }, ports.nowMs());
    const handlers: Record<MethodName, (body: readonly unknown[], sender: string) => unknown> = {
      Connect: ([connection], sender) => this.#connect(connection, sender, false),
      ConnectInteractive: ([connection], sender) => this.#connect(connection, sender, true),
      NeedSecrets: ([connection]) => this.#needSecrets(connection),
      NewSecrets: ([connection]) => this.#newSecrets(connection),
      Disconnect: () => this.#machine.handleDisconnect(),
      SetConfig: ([config]) => this.#pass('Config', config, CONFIG_TYPES),
      SetIp4Config: ([config]) => this.#pass('Ip4Config', config, IP4_TYPES),
      SetIp6Config: ([config]) => this.#pass('Ip6Config', config, IP6_TYPES),
      SetFailure: ([reason]) => this.#setFailure(reason),
    };
    const methods = Object.fromEntries(
      Object.entries(METHODS).map(([name, types]) => [
        name,
        {
          ...types,
          handler: (body: readonly unknown[], sender: string) =>
            this.#answer(types.out !== '', () => handlers[name as MethodName](body, sender), sender),
        },
      ]),
    );
    this.#object = ports.bus.export(PLUGIN_PATH, PLUGIN_INTERFACE, {
      methods,
      signals: SIGNALS,
      properties: { State: { signature: 'u', read: () => this.#machine.state } },
    });
    this.#flush();
  }

  /** Ends the connection, if there is one, and the service. Resolves when the client is gone. */
  async close(): Promise<void> {
    this.#machine.stop();
    this.#flush();
    this.#cancelTimer();
    await this.#clientGone;
  }

  async #answer(hasAnswer: boolean, handle: () => unknown, sender: string): Promise<readonly unknown[]> {
    await this.#ports.authorise(sender);
    try {
      const answer = await handle();
      this.#flush();
      return hasAnswer ? [answer] : [];
    } catch (error) {
      // The caller hears the reason first, and then of the end.
      this.#ports.after(0, () => this.#flush());
      throw this.#asBusError(error);
    }
  }

  #asBusError(error: unknown): BusError {
    if (error instanceof BusError) return error;
    const message = messageOf(error);
    this.#ports.log('warning', message);
    return new BusError(`${ERROR_PREFIX}.${error instanceof PluginError ? error.reason : 'LaunchFailed'}`, message);
  }

  async #needSecrets(value: unknown): Promise<string> {
    const connection = readConnection(value);
    let settings: NmSettings;
    try {
      settings = readSettings(connection);
    } catch {
      // What is wrong is told where it is wanted: NetworkManager takes an error here for a password that is missing.
      return '';
    }
    const key = settings.files.find((file) => file.key === 'key') ?? settings.files.find((file) => file.key === 'cert');
    return needsSecrets(connection, await this.#isEncrypted(key, connection.users)) ? 'vpn' : '';
  }

  /** A key that can't be read is told when it is needed. */
  async #isEncrypted(file: NamedFile | undefined, users: readonly string[]): Promise<boolean> {
    if (file === undefined) return false;
    const contents = await this.#ports.readFiles([file], users).catch(() => undefined);
    const content = contents?.get(file.key);
    return content !== undefined && isEncryptedKey(content);
  }

  async #connect(value: unknown, sender: string, interactive: boolean): Promise<void> {
    let connection: NmConnection;
    let settings: NmSettings;
    try {
      connection = readConnection(value);
      settings = readSettings(connection);
    } catch (error) {
      this.#machine.handleRefused();
      throw error;
    }
    const secrets = new SecretStore(settings, connection.secrets, this.#options.challengeHints);
    const { timeoutSeconds } = connection;
    const remotes = settings.lines.filter(({ option }) => option === 'remote').length;
    this.#machine.handleConnect({ secrets, interactive, timeoutSeconds, remotes }, this.#ports.nowMs());
    const run = { connection, settings };
    this.#run = run;
    this.#banner = [];
    this.#flush();
    try {
      await this.#launch(run, sender);
    } catch (error) {
      if (this.#run === run) this.#machine.handleRefused();
      throw error;
    }
  }

  async #launch(run: Run, sender: string): Promise<void> {
    const { connection, settings } = run;
    for (const note of settings.notes) this.#ports.log('notice', note);
    if (this.#options.followsCaller) await this.#follow(sender);
    const contents = await this.#ports.readFiles(settings.files, connection.users);
    this.#expectCurrent(run);
    const lines = readLines(settings, contents);
    const { findings } = configOfLines(configLines(lines), 'vpn.data', {});
    const wrong = findings.find(({ severity }) => severity === 'error');
    if (wrong !== undefined) throw badArguments(`${wrong.origin.file}: ${wrong.message}`);
    await this.#clientGone;
    this.#expectCurrent(run);
    let gone: () => void = () => {};
    this.#clientGone = new Promise((resolve) => {
      gone = resolve;
    });
    try {
      this.#client = this.#ports.startClient(
        { name: connection.id, settings, lines, verb: this.#options.clientVerb },
        {
          message: (message) => {
            if (this.#run === run) this.#hear(message);
          },
          ended: (problem) => {
            gone();
            this.#client = undefined;
            if (this.#run !== run) return;
            this.#machine.handleClientEnd(problem);
            this.#flush();
          },
        },
      );
    } catch (error) {
      gone();
      throw new PluginError('LaunchFailed', messageOf(error));
    }
  }

  /** Somebody may have had enough meanwhile. */
  #expectCurrent(run: Run): void {
    if (this.#run === run && this.#machine.state === ServiceState.starting) return;
    throw new PluginError('StoppingInProgress', 'The connection was ended before it began');
  }

  #newSecrets(value: unknown): void {
    const { secrets, userName, data } = readConnection(value);
    this.#machine.handleNewSecrets(secrets, data.get('username') || userName, this.#ports.nowMs());
  }

  #hear(message: FromClient): void {
    switch (message.type) {
      case 'log':
        this.#ports.clientLog(message.flags, message.text);
        return;
      case 'question':
        this.#machine.handleQuestion(message.id, message.question);
        break;
      case 'withdrawn':
        this.#machine.handleWithdrawn(message.id, this.#ports.nowMs());
        break;
      case 'refused':
        this.#machine.handleRefusedAnswer(message.question);
        break;
      case 'attempt-failed':
        this.#machine.handleAttemptFailed(message.problem);
        break;
      case 'banner':
        this.#banner.push(message.text);
        this.#machine.handleBanner(message.text);
        break;
      case 'up':
        this.#up(message.facts);
        break;
      case 'ended':
        break;
      default:
        message satisfies never;
    }
    this.#flush();
  }

  #up(facts: Extract<FromClient, { type: 'up' }>['facts']): void {
    const { connection, settings } = this.#run ?? {};
    const device = this.#client?.device;
    if (connection === undefined || settings === undefined || device === undefined) return;
    if (facts.address4 === undefined && facts.address6 === undefined) {
      const message = 'The server has given the tunnel no address';
      this.#machine.fail(Failure.badIpConfig, { message, hint: 'Its log may say why.' });
      return;
    }
    // The device is the one that was handed over, whatever is said about it.
    const config = ipConfigOf(
      { ...facts, device },
      {
        neverDefault4: connection.neverDefault4,
        neverDefault6: connection.neverDefault6,
        takesDefaultRoute: settings.takesDefaultRoute,
        blocksIpv6Leak: settings.blocksIpv6Leak,
        banner: this.#banner.length === 0 ? undefined : this.#banner.join('\n').slice(0, 4096),
      },
    );
    for (const note of facts.notes) this.#ports.log('notice', note);
    if (config.blocksIpv6) {
      this.#ports.log(
        'notice',
        'IPv6 is blocked as long as the tunnel is up: all of IPv4 goes through it, and it has no IPv6 (block-ipv6-leak=no in vpn.data turns this off)',
      );
    }
    if (config.withoutDns) {
      this.#ports.log(
        'notice',
        'the name servers of the tunnel are left out: the connection is for its own networks only, and the server names no domain',
      );
    }
    this.#machine.handleUp(config);
  }

  /** What another process of root's wants to have said of a connection that runs. */
  #pass(signal: 'Config' | 'Ip4Config' | 'Ip6Config', value: unknown, types: Readonly<Record<string, string>>): void {
    this.#expectRunning();
    this.#object.emit(signal, [typedDictionary(value, types)]);
  }

  #setFailure(reason: unknown): void {
    this.#expectRunning();
    this.#machine.fail(Failure.badIpConfig, { message: `A failure was reported: ${String(reason)}`, hint: undefined });
  }

  #expectRunning(): void {
    const { state } = this.#machine;
    if (state !== ServiceState.starting && state !== ServiceState.started) {
      throw new PluginError('WrongState', 'No connection is there');
    }
  }

  /** The service is of no use to anybody once NetworkManager is gone. */
  async #follow(sender: string): Promise<void> {
    this.#unfollow();
    this.#unfollow = await this.#ports.bus.subscribe(
      {
        sender: 'org.freedesktop.DBus',
        interface: 'org.freedesktop.DBus',
        member: 'NameOwnerChanged',
        arg0: sender,
      },
      ([name, , owner]) => {
        if (name !== sender || owner !== '') return;
        this.#ports.log('notice', 'whoever started the connection has left the bus, and it ends');
        this.#machine.stop();
        this.#flush();
      },
    );
  }

  #flush(): void {
    for (const effect of this.#machine.pollEffects()) this.#carryOut(effect);
    this.#cancelTimer();
    const { deadlineMs } = this.#machine;
    if (deadlineMs === undefined) {
      this.#cancelTimer = () => {};
      return;
    }
    this.#cancelTimer = this.#ports.after(Math.max(0, deadlineMs - this.#ports.nowMs()), () => {
      this.#machine.handleTime(this.#ports.nowMs());
      this.#flush();
    });
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case 'state':
        this.#object.emit('StateChanged', [effect.state]);
        return;
      case 'failure':
        this.#object.emit('Failure', [effect.reason]);
        return;
      case 'secrets':
        this.#object.emit('SecretsRequired', [effect.request.message, effect.request.hints]);
        return;
      case 'config':
        this.#object.emit('Config', [effect.config.config]);
        if (effect.config.ip4 !== undefined) this.#object.emit('Ip4Config', [effect.config.ip4]);
        if (effect.config.ip6 !== undefined) this.#object.emit('Ip6Config', [effect.config.ip6]);
        return;
      case 'banner':
        this.#object.emit('LoginBanner', [effect.text]);
        return;
      case 'answer':
        this.#client?.send({ type: 'answer', id: effect.id, answer: effect.answer });
        return;
      case 'stop-client':
        this.#run = undefined;
        this.#unfollow();
        this.#unfollow = () => {};
        void this.#client?.stop();
        return;
      case 'quit':
        void this.#clientGone.then(() => this.#ports.quit());
        return;
      case 'log':
        this.#ports.log(effect.level, effect.text);
        return;
      default:
        effect satisfies never;
    }
  }
}
