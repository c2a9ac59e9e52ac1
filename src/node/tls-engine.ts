// The TLS engine of the control channel over node:tls. The socket that node:tls wants is a Duplex in memory: what is
// pushed into it came through the reliability layer, what node:tls writes to it goes there.
//
// What node:tls makes easy to get wrong, and how it is done here:
// - A bare server-side TLSSocket never fills in `authorized`. The server half goes through tls.Server, which does.
// - The engine refuses nobody (`rejectUnauthorized: false`) and accepts nobody: the verdict goes up in `established`.
// - The stream adapter under TLSSocket has one write in flight and loses an alert that is made meanwhile. Input waits
//   until the last output is done.
// - An empty context argument to the exporter changes its bytes under TLS 1.2. None is passed.

import type { X509Certificate } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';
import type { SecureContext, Server, TLSSocket } from 'node:tls';
import type {
  PeerCertificate,
  TlsEngine,
  TlsEngineFactory,
  TlsEstablished,
  TlsFailure,
  TlsListener,
} from '../control/tls-engine.ts';
import { SallyportError } from '../error.ts';
import { decimalOfHex } from '../wire/hex.ts';
import { nodeTls } from './lazy-tls.ts';
import { judgeChain, type RevocationCheck } from './peer-chain.ts';
import { findRevoked } from './revocation.ts';
import { LastWord } from './tls-alert.ts';
import type { TlsMaterial } from './tls-material.ts';
import { describeTlsFailure, nameOfAlert, sentAlert } from './tls-words.ts';

export interface NodeTlsFactory extends TlsEngineFactory {
  /** Engines made from now on use this material. */
  reload(material: TlsMaterial, options?: { readonly requestCertificate?: boolean }): void;
  /** What the next engine is made with. */
  readonly material: TlsMaterial;
  /** Looks at the CRL file and the directories; true when something there is another than at the last call. */
  refresh(): boolean;
  /** Whether a certificate of a chain stands in the list as it is now. */
  isRevoked(chain: readonly PeerCertificate[]): boolean;
}

/**
 * Engines that share one secure context. A changed CRL file is read again when the next engine is made. As a server, they
 * ask for a certificate unless told otherwise; whether one is needed is for the verification to say.
 */
export function createNodeTlsFactory(
  material: TlsMaterial,
  { requestCertificate = true }: { readonly requestCertificate?: boolean } = {},
): NodeTlsFactory {
  let current = material;
  let asks = requestCertificate;
  let server: Server | undefined;
  let changed = false;
  const take = (next: TlsMaterial): void => {
    current = next;
    server = undefined;
    changed = true;
  };
  let serialsStamp = material.revokedSerials?.stamp();
  const refresh = (): void => {
    const stamp = current.revokedSerials?.stamp();
    if (stamp !== serialsStamp) changed = true;
    serialsStamp = stamp;
    const refreshed = current.refresh();
    if (refreshed !== undefined) take(refreshed);
  };
  return {
    get material() {
      return current;
    },
    reload(next, { requestCertificate = asks } = {}) {
      asks = requestCertificate;
      take(next);
    },
    refresh() {
      refresh();
      const news = changed;
      changed = false;
      return news;
    },
    isRevoked: (chain) =>
      findRevoked(chain, current.revocationLists) >= 0 ||
      chain.some(({ serialHex }) => current.revokedSerials?.find(decimalOfHex(serialHex)) === true),
    create(role, listener) {
      refresh();
      const material = current;
      const describe = (socket: TLSSocket) => judgeHandshake(factsOf(socket), role, material);
      if (role === 'client') return createEngine(role, listener, describe, (wire) => connect(wire, material.context));
      server ??= createServer(current, asks);
      const shared = server;
      return createEngine(role, listener, describe, (wire, report) => accept(shared, wire, report));
    },
  };
}

/** What a half reports of its socket. */
interface Report {
  secure(socket: TLSSocket): void;
  /** A secret of the session; the line belongs to whoever is told. */
  keyLog(line: Buffer): void;
  error(error: Error): void;
}

function connect(wire: Duplex, secureContext: SecureContext): TLSSocket {
  return nodeTls().connect({
    socket: wire,
    secureContext,
    rejectUnauthorized: false,
    // Names are OpenVPN's own business (verify-x509-name); node:tls would compare with `localhost`.
    checkServerIdentity: () => undefined,
  });
}

/** The longest that a timer can wait: how long a handshake may take is for the session to say. */
const NO_TIMEOUT_MS = 0x7fffffff;

function createServer(material: TlsMaterial, requestCert: boolean): Server {
  const server = nodeTls().createServer({
    ...material.options,
    requestCert,
    rejectUnauthorized: false,
    handshakeTimeout: NO_TIMEOUT_MS,
  });
  // node:tls tells secrets only where somebody listens; each connection's go to its own view (see accept).
  server.on('keylog', () => {});
  return server;
}

/**
 * Gives `wire` to the server as a connection (the documented injection: emit 'connection'). What the server has to say
 * of it comes as its own events, which name no connection before it is secure; so each connection is given to a view of
 * the server whose `emit` belongs to that connection alone.
 */
function accept(server: Server, wire: Duplex, report: Report): undefined {
  const view = Object.create(server) as Server;
  view.emit = (event: string, ...args: unknown[]): boolean => {
    if (event === 'secureConnection') report.secure(args[0] as TLSSocket);
    else if (event === 'tlsClientError') report.error(args[0] as Error);
    else if (event === 'keylog') report.keyLog(args[0] as Buffer);
    else return false;
    return true;
  };
  EventEmitter.prototype.emit.call(view, 'connection', wire);
}

type Output =
  | { readonly type: 'ciphertext' | 'plaintext'; readonly bytes: Uint8Array }
  | { readonly type: 'flushed' }
  | { readonly type: 'failed'; readonly failure: TlsFailure };

/** What an engine tells, with whatever is told of a handshake. */
export type ListenerFor<Info> = Omit<TlsListener, 'established'> & { established(info: Info): void };

/** `describe`: what `established` tells; undefined where the peer's certificate can't be read. */
function createEngine<Info extends Pick<HandshakeFacts, 'version' | 'cipher'>>(
  role: 'client' | 'server',
  listener: ListenerFor<Info>,
  describe: (socket: TLSSocket) => Info | undefined,
  start: (wire: Duplex, report: Report) => TLSSocket | undefined,
): TlsEngine {
  type Event = Output | { readonly type: 'established'; readonly info: Info; readonly socket: TLSSocket };
  const input: Uint8Array[] = [];
  const output: Event[] = [];
  /** Messages that wait for the one before them to be out. */
  const messages: Uint8Array[] = [];
  let speaking = false;
  let turn: NodeJS.Immediate | undefined;
  let socket: TLSSocket | undefined;
  let established: TLSSocket | undefined;
  let ended = false;
  let failing = false;
  let writing = false;
  /** The fatal alert that went out, if any. */
  let alerted: string | undefined;
  /** The alert with which the peer is refused. */
  let refusing: number | undefined;
  let facts: Info | undefined;
  const lastWord = new LastWord(role);

  const wire = new Duplex({
    read() {},
    write(chunk: Uint8Array, _encoding, done) {
      writing = true;
      alerted = sentAlert(chunk) ?? alerted;
      lastWord.handleOutput(chunk);
      emit({ type: 'ciphertext', bytes: plain(chunk) });
      done();
    },
  });
  wire.on('error', () => {});

  const schedule = (): void => {
    turn ??= setImmediate(run);
  };
  const emit = (event: Event): void => {
    if (ended) return;
    output.push(event);
    schedule();
  };
  const fail = (failure: TlsFailure): void => {
    if (failing) return;
    failing = true;
    const sent = failure.origin === 'local' && alerted !== undefined ? alerted : undefined;
    emit({
      type: 'failed',
      failure: sent === undefined ? failure : { ...failure, alert: { direction: 'sent', name: sent } },
    });
  };
  const report: Report = {
    secure(secured) {
      if (ended || failing) return;
      socket = secured;
      watch(secured);
      const info = describe(secured);
      if (info === undefined) fail(describeTlsFailure('PEER_CERTIFICATE_UNREADABLE', ''));
      else {
        facts = info;
        emit({ type: 'established', info, socket: secured });
      }
    },
    keyLog: (line) => lastWord.handleKeyLog(line),
    error(error) {
      fail(describeTlsFailure((error as NodeJS.ErrnoException).code, error.message));
    },
  };
  const watch = (watched: TLSSocket): void => {
    watched.on('error', report.error);
    watched.on('data', (chunk: Uint8Array) => emit({ type: 'plaintext', bytes: plain(chunk) }));
    watched.on('end', () => fail(describeTlsFailure('CLOSE_NOTIFY', '')));
  };

  /** One turn: tells the listener what has come, then feeds what has arrived unless the last output is still under way. */
  function run(): void {
    turn = undefined;
    const wasWriting = writing;
    writing = false;
    for (let event = output.shift(); event !== undefined && !ended; event = output.shift()) deliver(event);
    if (ended) return;
    if (refusing !== undefined) {
      if (wasWriting || output.length > 0) schedule();
      else sayLastWord(refusing);
      return;
    }
    if (!wasWriting) for (const bytes of input.splice(0)) wire.push(bytes);
    if (input.length > 0 || output.length > 0) schedule();
  }

  /** Everything else is out: the alert is the last record of the session. */
  function sayLastWord(alert: number): void {
    const record = facts === undefined ? undefined : lastWord.seal(alert, facts);
    if (record !== undefined) listener.ciphertext(plain(record));
    close();
    const name = nameOfAlert(alert);
    const failure: TlsFailure = { origin: 'local', code: 'PEER_REFUSED', text: 'the peer was refused' };
    listener.failed(record === undefined ? failure : { ...failure, alert: { direction: 'sent', name } });
  }

  function deliver(event: Event): void {
    switch (event.type) {
      case 'ciphertext':
        listener.ciphertext(event.bytes);
        return;
      case 'plaintext':
        listener.plaintext(event.bytes);
        return;
      case 'flushed':
        listener.flushed();
        return;
      case 'established':
        established = event.socket;
        listener.established(event.info);
        return;
      case 'failed':
        close();
        listener.failed(event.failure);
        return;
      default:
        event satisfies never;
    }
  }

  /**
   * One message at a time: node:tls joins what is written together into one record. C reads a record into a buffer of 2048
   * bytes and would cut a message in two, and takes what stands behind a key exchange message in its record for a part of it.
   */
  function speak(): void {
    if (speaking || ended || established === undefined) return;
    const message = messages.shift();
    if (message === undefined) return;
    speaking = true;
    const done = (): void => {
      speaking = false;
      emit({ type: 'flushed' });
      speak();
    };
    if (message.length === 0) done();
    else established.write(message, done);
  }

  function close(): void {
    if (ended) return;
    ended = true;
    if (turn !== undefined) clearImmediate(turn);
    input.length = 0;
    output.length = 0;
    messages.length = 0;
    lastWord.wipe();
    socket?.destroy();
    wire.destroy();
  }

  // A turn of its own, so that nothing happens inside `create`.
  setImmediate(() => {
    if (ended) return;
    try {
      const client = start(wire, report);
      if (client === undefined) return;
      socket = client;
      client.on('keylog', report.keyLog);
      client.on('error', report.error);
      client.once('secureConnect', () => {
        client.off('error', report.error);
        report.secure(client);
      });
    } catch (error) {
      report.error(error as Error);
    }
  });

  return {
    handleCiphertext(bytes) {
      if (ended || bytes.length === 0) return;
      lastWord.handleInput(bytes);
      input.push(Buffer.from(bytes));
      schedule();
    },
    handlePlaintext(bytes) {
      if (ended) return;
      if (established === undefined) throw misuse('plaintext before the TLS handshake is complete');
      // The peer was judged: its session goes on, and no alert is made here any more.
      lastWord.wipe();
      messages.push(Buffer.from(bytes));
      speak();
    },
    refuse(alert) {
      if (ended || failing) return;
      refusing = alert;
      schedule();
    },
    exportKeyingMaterial(lengthBytes, label) {
      if (ended || established === undefined) throw misuse('keying material without an established TLS session');
      return plain((established.exportKeyingMaterial as Exporter).call(established, lengthBytes, label));
    },
    close,
  };
}

/** The declared type demands a context; leaving it out is allowed, and is what OpenVPN does. */
type Exporter = (lengthBytes: number, label: string) => Buffer;

/** What node:tls tells of a handshake that is complete. */
export interface HandshakeFacts {
  /** The peer's certificate with what it sent behind it. */
  readonly leaf: X509Certificate | undefined;
  readonly authorized: boolean;
  readonly authorizationError: string | undefined;
  readonly version: string;
  readonly cipher: string;
  readonly temporaryKey: string | undefined;
  readonly resumed: boolean;
}

const factsOf = (socket: TLSSocket): HandshakeFacts => ({
  leaf: socket.getPeerX509Certificate() as X509Certificate | undefined,
  authorized: socket.authorized,
  // Typed as an Error, but a code in fact; null when there is none.
  authorizationError: (socket.authorizationError as unknown as string | null | undefined) ?? undefined,
  version: socket.getProtocol() ?? 'unknown',
  cipher: socket.getCipher().standardName,
  temporaryKey: describeTemporaryKey(socket),
  resumed: socket.isSessionReused(),
});

/** A client's engine that tells what it was told, and leaves the judgement to others. */
export const createFactsEngine = (context: SecureContext, listener: ListenerFor<HandshakeFacts>): TlsEngine =>
  createEngine('client', listener, factsOf, (wire) => connect(wire, context));

/** Undefined where a certificate can't be read. */
export function judgeHandshake(
  facts: HandshakeFacts,
  role: 'client' | 'server',
  material: TlsMaterial,
): TlsEstablished | undefined {
  const { leaf, authorized, authorizationError, version, cipher, temporaryKey, resumed } = facts;
  const judged = judgeChain({
    leaf,
    authorized,
    authorizationError,
    authorities: material.authorities,
    revocation: revocationOf(material),
    securityLevel: Number(/@SECLEVEL=(\d)/.exec(material.options.ciphers ?? '')?.[1] ?? 1),
    peerRole: role === 'client' ? 'server' : 'client',
    nowSeconds: Date.now() / 1000,
  });
  if (!judged.ok) return undefined;
  const { chain, verdict, unlisted } = judged;
  return { version, cipher, temporaryKey, resumed, chain, verdict, unlisted };
}

/** What may stand against certificates; undefined, and no work for any handshake, where nothing is asked. */
const revocationOf = ({ revocationLists, expectsLists, revokedSerials }: TlsMaterial): RevocationCheck | undefined =>
  expectsLists || revokedSerials !== undefined
    ? { lists: revocationLists, expectsLists, serials: revokedSerials }
    : undefined;

/** `253 bits X25519`, `256 bits ECprime256v1`, `2048 bits DH`; a server can't tell. */
function describeTemporaryKey(socket: TLSSocket): string | undefined {
  const info = socket.getEphemeralKeyInfo() as { type?: string; name?: string; size?: number } | null;
  if (info?.type === undefined) return undefined;
  if (info.type === 'DH') return `${info.size} bits DH`;
  const name = info.name ?? '';
  return `${info.size} bits ${/^X(25519|448)$/.test(name) ? name : `EC${name}`}`;
}

const misuse = (what: string): SallyportError =>
  new SallyportError(`misuse of the TLS engine: ${what}`, { code: 'SALLYPORT_INTERNAL', blame: 'internal' });

const plain = (chunk: Uint8Array): Uint8Array => new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
