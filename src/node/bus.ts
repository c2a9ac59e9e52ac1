// D-Bus over a unix socket: the port of tunnel/bus-port.ts. The library reads and writes messages; who may be heard,
// what is answered, and how long anything may take is decided here.

import { connect, type Socket } from 'node:net';
import type { DBusConnection, Message } from 'dbus-native';
import { messageOf } from '../error.ts';
import {
  type Bus,
  type BusCall,
  BusError,
  BusErrorName,
  type BusInterface,
  type BusMatch,
  type BusObject,
  type BusOptions,
  BusVariant,
} from '../tunnel/bus-port.ts';
import { answerCall, type Exports } from './bus-objects.ts';
import { type MakeVariant, writableBody } from './bus-values.ts';

const DAEMON = 'org.freedesktop.DBus';
const DAEMON_PATH = '/org/freedesktop/DBus';
/** Above what a system bus passes on (32 MiB), so that nobody's message ends our connection. */
const MESSAGE_LIMIT_BYTES = 0x400_0000;
/** What may wait for a bus that does not read. */
const QUEUE_LIMIT_BYTES = 0x200_0000;
/** How long `close` waits for the bus. */
const CLOSE_LIMIT_MS = 1000;
const NO_REPLY = 0x01;
const Kind = { call: 1, reply: 2, error: 3, signal: 4 } as const;
/** RequestName: do not queue behind the owner. */
const DO_NOT_QUEUE = 0x04;
const NAME_IS_OURS = [1, 4];

interface Listener {
  readonly match: BusMatch;
  readonly hear: (body: readonly unknown[], sender: string) => void;
}

/** Settles a call: the answer's values, or why there are none. */
type Settle = (outcome: readonly unknown[] | BusError) => void;

/** Opens the bus at a `unix:path=…` or `unix:abstract=…` address. Rejects with BusError. */
export async function openBus(address: string, options: BusOptions): Promise<Bus> {
  const socketPath = parseBusAddress(address);
  const library = await import('dbus-native');
  const names = library.default ?? library;
  const stream = connect(socketPath);
  const connection = names.createConnection({
    stream,
    authMethods: ['EXTERNAL'],
    plainValues: true,
    maxMessageSize: MESSAGE_LIMIT_BYTES,
  });
  const bus = new OpenBus(
    connection,
    stream,
    options,
    names,
    (signature, value) => new names.Variant(signature, value),
  );
  return bus.begin(address);
}

/** The socket's path; abstract ones begin with a zero byte. Throws BusError. */
export function parseBusAddress(address: string): string {
  for (const one of address.split(';')) {
    const pairs = one.startsWith('unix:') ? one.slice('unix:'.length).split(',') : [];
    for (const pair of pairs) {
      const [key, value = ''] = pair.split('=');
      const path = value.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16)),
      );
      if (path !== '' && key === 'path') return path;
      if (path !== '' && key === 'abstract') return `\0${path}`;
    }
  }
  throw new BusError(BusErrorName.noServer, `"${address}" is no address of a bus; unix:path=… is understood.`);
}

interface NameRules {
  isValidBusName(name: string): boolean;
  isValidObjectPath(name: string): boolean;
  isValidInterfaceName(name: string): boolean;
  isValidMemberName(name: string): boolean;
  isValidErrorName(name: string): boolean;
}

class OpenBus implements Bus {
  uniqueName = '';
  readonly #connection: DBusConnection;
  readonly #stream: Socket;
  readonly #options: BusOptions;
  readonly #rules: NameRules;
  readonly #variant: MakeVariant;
  readonly #calls = new Map<number, Settle>();
  readonly #listeners = new Set<Listener>();
  readonly #owners = new Map<string, string>();
  readonly #exports: Exports = new Map();
  #serial = 0;
  #state: 'opening' | 'open' | 'closing' | 'gone' = 'opening';

  constructor(connection: DBusConnection, stream: Socket, options: BusOptions, rules: NameRules, variant: MakeVariant) {
    this.#connection = connection;
    this.#stream = stream;
    this.#options = options;
    this.#rules = rules;
    this.#variant = variant;
    connection.on('message', (message: Message) => this.#handleMessage(message));
    connection.on('handlerError', (error: unknown) => this.#options.onFault?.(error));
    connection.on('error', (error: unknown) => this.#handleEnd(messageOf(error)));
    connection.on('end', () => this.#handleEnd('the bus closed the connection'));
    connection.on('close', () => this.#handleEnd('the bus closed the connection'));
  }

  async begin(address: string): Promise<Bus> {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void =>
        reject(new BusError(BusErrorName.noServer, `The bus at ${address.replace(/[^\x20-\x7e]/g, '?')}: ${why}.`));
      const timer = setTimeout(() => {
        this.#handleEnd('no answer');
        fail(`no answer in ${this.#options.timeoutMs} ms`);
      }, this.#options.timeoutMs);
      this.#connection.once('connect', () => {
        clearTimeout(timer);
        resolve();
      });
      for (const event of ['error', 'end', 'close']) {
        this.#connection.once(event, (error: unknown) => {
          clearTimeout(timer);
          fail(error === undefined ? 'it closed the connection' : messageOf(error));
        });
      }
    });
    const [name] = await this.#askDaemon('Hello', '', []);
    this.uniqueName = String(name);
    this.#state = 'open';
    return this;
  }

  call(request: BusCall): Promise<readonly unknown[]> {
    return new Promise((resolve, reject) => {
      this.#expectNames(request);
      const serial = this.#nextSerial();
      const timeoutMs = request.timeoutMs ?? this.#options.timeoutMs;
      const settle: Settle = (outcome) => {
        clearTimeout(timer);
        this.#calls.delete(serial);
        if (outcome instanceof BusError) reject(outcome);
        else resolve(outcome);
      };
      const timer = setTimeout(
        () =>
          settle(
            new BusError(
              BusErrorName.timeout,
              `${request.destination} gave no answer to ${request.member} in ${timeoutMs} ms.`,
            ),
          ),
        timeoutMs,
      );
      this.#calls.set(serial, settle);
      try {
        this.#send({
          type: Kind.call,
          serial,
          destination: request.destination,
          path: request.path,
          interface: request.interface,
          member: request.member,
          ...this.#payload(request.signature ?? '', request.body ?? []),
        });
      } catch (error) {
        settle(asBusError(error));
      }
    });
  }

  async subscribe(match: BusMatch, hear: Listener['hear']): Promise<() => void> {
    const { sender } = match;
    this.#expectNames({ destination: sender, path: match.path, interface: match.interface, member: match.member });
    if (match.arg0 !== undefined && /['\\\0]/.test(match.arg0)) {
      throw new BusError(BusErrorName.invalidArgs, 'No signal can be matched by an argument with quotes in it.');
    }
    const follow = sender !== undefined && sender !== DAEMON && !sender.startsWith(':');
    const stopFollowing = follow ? await this.#followOwner(sender) : undefined;
    const rule = Object.entries({ type: 'signal', ...match })
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${key}='${value}'`)
      .join(',');
    const listener: Listener = { match, hear };
    this.#listeners.add(listener);
    try {
      await this.#askDaemon('AddMatch', 's', [rule]);
    } catch (error) {
      this.#listeners.delete(listener);
      stopFollowing?.();
      throw error;
    }
    return () => {
      if (!this.#listeners.delete(listener)) return;
      stopFollowing?.();
      if (this.#state === 'open') this.#askDaemon('RemoveMatch', 's', [rule]).catch(() => {});
    };
  }

  async requestName(name: string): Promise<boolean> {
    const [result] = await this.#askDaemon('RequestName', 'su', [name, DO_NOT_QUEUE]);
    return NAME_IS_OURS.includes(Number(result));
  }

  async nameOwner(name: string): Promise<string | undefined> {
    try {
      const [owner] = await this.#askDaemon('GetNameOwner', 's', [name]);
      return typeof owner === 'string' ? owner : undefined;
    } catch (error) {
      if (error instanceof BusError && error.name === 'org.freedesktop.DBus.Error.NameHasNoOwner') return undefined;
      throw error;
    }
  }

  export(path: string, name: string, description: BusInterface): BusObject {
    this.#expectNames({ path, interface: name });
    for (const member of [...Object.keys(description.methods), ...Object.keys(description.signals)]) {
      this.#expectNames({ member });
    }
    const object = this.#exports.get(path) ?? new Map<string, BusInterface>();
    this.#exports.set(path, object.set(name, description));
    return {
      emit: (member, body) => {
        const signature = Object.hasOwn(description.signals, member) ? description.signals[member] : undefined;
        if (signature === undefined) throw new BusError(BusErrorName.invalidArgs, `${name} has no signal ${member}.`);
        if (this.#state !== 'open') return;
        this.#send({
          type: Kind.signal,
          serial: this.#nextSerial(),
          path,
          interface: name,
          member,
          ...this.#payload(signature, body),
        });
      },
    };
  }

  async close(): Promise<void> {
    if (this.#state === 'gone') return;
    if (this.#state === 'open') {
      this.#state = 'closing';
      // The bus handles messages in their order: once it answers this, it has passed on all that was sent before.
      await this.#askDaemon('GetId', '', [], CLOSE_LIMIT_MS).catch(() => {});
    }
    this.#state = 'closing';
    // The bus ends its side once it has let go of our names.
    const gone = new Promise<void>((resolve) => this.#stream.once('close', () => resolve()));
    this.#handleEnd('the connection was closed');
    if (!this.#stream.closed) await gone;
  }

  #askDaemon(member: string, signature: string, body: readonly unknown[], timeoutMs?: number) {
    return this.call({ destination: DAEMON, path: DAEMON_PATH, interface: DAEMON, member, signature, body, timeoutMs });
  }

  #nextSerial(): number {
    this.#serial = this.#serial >= 0xffff_ffff ? 1 : this.#serial + 1;
    return this.#serial;
  }

  #payload(signature: string, body: readonly unknown[]): { signature?: string; body?: unknown[] } {
    if (signature === '' && body.length === 0) return {};
    return { signature, body: writableBody(body, this.#variant) };
  }

  /** Throws BusError. */
  #send(message: object): void {
    if (this.#state === 'gone') throw new BusError(BusErrorName.disconnected, 'The connection to the bus is gone.');
    if (this.#stream.writableLength > QUEUE_LIMIT_BYTES) {
      throw new BusError(BusErrorName.limitsExceeded, 'The bus does not read what is sent to it.');
    }
    try {
      this.#connection.message(message as Message);
    } catch (error) {
      throw new BusError(BusErrorName.invalidArgs, messageOf(error));
    }
  }

  #expectNames(names: Partial<Record<'destination' | 'path' | 'interface' | 'member', string | undefined>>): void {
    const wrong = (
      [
        ['destination', this.#rules.isValidBusName],
        ['path', this.#rules.isValidObjectPath],
        ['interface', this.#rules.isValidInterfaceName],
        ['member', this.#rules.isValidMemberName],
      ] as const
    ).find(([kind, valid]) => names[kind] !== undefined && !valid(names[kind]));
    if (wrong === undefined) return;
    throw new BusError(BusErrorName.invalidArgs, `"${names[wrong[0]]}" can't be the ${wrong[0]} of a message.`);
  }

  async #followOwner(name: string): Promise<() => void> {
    const stop = await this.subscribe(
      { sender: DAEMON, path: DAEMON_PATH, interface: DAEMON, member: 'NameOwnerChanged', arg0: name },
      ([changed, , owner]) => {
        if (changed === name && typeof owner === 'string') this.#owners.set(name, owner);
      },
    );
    const owner = await this.nameOwner(name);
    if (owner !== undefined) this.#owners.set(name, owner);
    return stop;
  }

  #handleMessage(message: Message): void {
    const { type } = message;
    if (type === Kind.reply || type === Kind.error) {
      const settle = this.#calls.get(message.replySerial ?? 0);
      const body: readonly unknown[] = message.body ?? [];
      if (type === Kind.reply) settle?.(body);
      else settle?.(new BusError(message.errorName ?? BusErrorName.failed, typeof body[0] === 'string' ? body[0] : ''));
    } else if (type === Kind.signal) {
      this.#handleSignal(message);
    } else if (type === Kind.call) {
      void this.#handleCall(message);
    }
  }

  #handleSignal(message: Message): void {
    const sender = message.sender ?? '';
    const body: readonly unknown[] = message.body ?? [];
    for (const { match, hear } of [...this.#listeners]) {
      if (match.interface !== message.interface || match.member !== message.member) continue;
      if (match.path !== undefined && match.path !== message.path) continue;
      if (match.arg0 !== undefined && match.arg0 !== body[0]) continue;
      const from = match.sender === undefined ? sender : (this.#owners.get(match.sender) ?? match.sender);
      if (from !== sender) continue;
      try {
        hear(body, sender);
      } catch (error) {
        this.#options.onFault?.(error);
      }
    }
  }

  async #handleCall(message: Message): Promise<void> {
    const { sender = '', path = '', member = '', signature = '', body = [] } = message;
    const silent = ((message.flags ?? 0) & NO_REPLY) !== 0;
    const reply = { destination: sender, replySerial: message.serial };
    try {
      const call = { path, interface: message.interface, member, signature, body: body as readonly unknown[], sender };
      const answer = await answerCall(this.#exports, call, (type, value) => new BusVariant(type, value));
      if (silent || this.#state === 'gone') return;
      const payload = this.#payload(answer.signature, answer.body);
      this.#send({ type: Kind.reply, serial: this.#nextSerial(), ...reply, ...payload });
    } catch (error) {
      if (!(error instanceof BusError)) this.#options.onFault?.(error);
      if (silent || this.#state === 'gone') return;
      const name =
        error instanceof BusError && this.#rules.isValidErrorName(error.name) ? error.name : BusErrorName.failed;
      const words = messageOf(error).replaceAll('\0', '');
      try {
        this.#send({
          type: Kind.error,
          serial: this.#nextSerial(),
          ...reply,
          errorName: name,
          signature: 's',
          body: [words],
        });
      } catch (refusal) {
        this.#options.onFault?.(refusal);
      }
    }
  }

  #handleEnd(reason: string): void {
    if (this.#state === 'gone') return;
    const lost = this.#state === 'open';
    this.#state = 'gone';
    // What was queued still goes out; a bus that does not read is left after a moment.
    this.#stream.end();
    const timer = setTimeout(() => this.#stream.destroy(), CLOSE_LIMIT_MS);
    this.#stream.once('close', () => clearTimeout(timer));
    const error = new BusError(BusErrorName.disconnected, `The bus went away: ${reason}.`);
    for (const settle of [...this.#calls.values()]) settle(error);
    this.#listeners.clear();
    if (!lost) return;
    try {
      this.#options.onLost(reason);
    } catch (fault) {
      this.#options.onFault?.(fault);
    }
  }
}

const asBusError = (error: unknown): BusError =>
  error instanceof BusError ? error : new BusError(BusErrorName.failed, messageOf(error));
