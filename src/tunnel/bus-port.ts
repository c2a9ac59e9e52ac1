// The port to D-Bus: what the parts that speak on a bus are handed. node/bus.ts answers it. What comes from a bus is
// `unknown` and goes through checked readers; what goes out is written by the signature beside it.

/** Names of the errors that the port itself gives; a peer's errors keep the names that the peer chose. */
export const BusErrorName = {
  /** The call had no answer in its time. */
  timeout: 'org.freedesktop.DBus.Error.Timeout',
  /** The bus is gone, or was closed. */
  disconnected: 'org.freedesktop.DBus.Error.Disconnected',
  /** There is no bus at that address, or it does not let us in. */
  noServer: 'org.freedesktop.DBus.Error.NoServer',
  /** Values that do not fit their signature, names that no bus would take. */
  invalidArgs: 'org.freedesktop.DBus.Error.InvalidArgs',
  /** More than one message, or the queue to a bus that does not read, may hold. */
  limitsExceeded: 'org.freedesktop.DBus.Error.LimitsExceeded',
  failed: 'org.freedesktop.DBus.Error.Failed',
} as const;

/** A call that failed: `name` is the D-Bus error name. Handlers of exported methods throw it to answer with that error. */
export class BusError extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/** A value with its type, wherever a signature says `v`. */
export class BusVariant {
  readonly signature: string;
  readonly value: unknown;

  constructor(signature: string, value: unknown) {
    this.signature = signature;
    this.value = value;
  }
}

export interface BusCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** Types of `body`, one value for each complete type. Nothing: no arguments. */
  readonly signature?: string | undefined;
  readonly body?: readonly unknown[] | undefined;
  /** How long to wait for the answer; the bus's own limit where nothing is said. */
  readonly timeoutMs?: number | undefined;
}

export interface BusMatch {
  /**
   * A unique or a well-known name. Signals of others are not delivered, even where somebody addresses them to us: the
   * owner of a well-known name is followed.
   */
  readonly sender?: string | undefined;
  readonly path?: string | undefined;
  readonly interface: string;
  readonly member: string;
  /** The first argument, where it is a string. */
  readonly arg0?: string | undefined;
}

export interface BusMethod {
  /** Signature of the arguments; a call with another one is refused before the handler is asked. */
  readonly in: string;
  readonly out: string;
  /** Gives one value for each complete type of `out`. Throws BusError to answer with an error. */
  handler(body: readonly unknown[], sender: string): readonly unknown[] | Promise<readonly unknown[]>;
}

export interface BusInterface {
  readonly methods: Readonly<Record<string, BusMethod>>;
  /** Signal names and the signatures of their arguments. */
  readonly signals: Readonly<Record<string, string>>;
  /** Read-only properties. */
  readonly properties: Readonly<Record<string, { readonly signature: string; read(): unknown }>>;
}

export interface BusObject {
  /** Sends the signal to whoever listens. Throws BusError where the values do not fit; does nothing once the bus is gone. */
  emit(signal: string, body: readonly unknown[]): void;
}

export interface Bus {
  /** Our own name on the bus, such as `:1.42`. */
  readonly uniqueName: string;
  /** The values of the answer. Rejects with BusError. Dictionaries with string keys are objects, `ay` is bytes, variants their value. */
  call(request: BusCall): Promise<readonly unknown[]>;
  /** Listens until the function given back is called. Rejects with BusError. */
  subscribe(match: BusMatch, listener: (body: readonly unknown[], sender: string) => void): Promise<() => void>;
  /** Whether the name is ours now; false where another has it. */
  requestName(name: string): Promise<boolean>;
  /** The unique name of who has the name. */
  nameOwner(name: string): Promise<string | undefined>;
  /** Answers calls for the interface at the path from now on. Export before requesting a name. */
  export(path: string, name: string, description: BusInterface): BusObject;
  /** Sends what is queued, waits (a moment only) until the bus has it, and lets go. Never rejects. */
  close(): Promise<void>;
}

export interface BusOptions {
  /** How long to wait for the bus itself and for each answer. */
  readonly timeoutMs: number;
  /** The bus went away without `close`; told once, after all calls were refused. */
  onLost(reason: string): void;
  /** A listener or a handler of ours threw what is no BusError: a fault of the program. */
  onFault?(error: unknown): void;
}
