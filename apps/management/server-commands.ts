// What a management client says to a server: who comes in, who goes, what changes. A client's id here (CID) is the one that
// `status` has, counted up and never given twice while a server runs; a client's keys are counted as well (KID). Pure.

import { integerOf } from './commands.ts';
import type { ManagementCore } from './core.ts';
import { withinSignal } from './within-signal.ts';

/** A client that is in. */
export interface ServedClient {
  readonly id: number;
  readonly name: string | undefined;
  readonly transport: 'udp' | 'tcp';
  readonly address: string;
  readonly port: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

export interface ServedPort {
  clients(): readonly ServedClient[];
  /** The CID of a client that is in, or comes in; by its peer-id, which is given again. */
  clientIdOf(id: number): number | undefined;
  kick(id: number, message: string | undefined): Promise<boolean>;
  pushUpdate(options: readonly string[], id: number | undefined): Promise<readonly number[]>;
}

export interface Judgement {
  accept: boolean;
  /** Lines of options, as a client-connect program gives them. */
  options: string;
  reason: string;
  clientReason: string | undefined;
}

interface Waiting {
  readonly kid: number;
  readonly decide: (judgement: Judgement) => void;
  readonly pending: (extra: string, seconds: number) => boolean;
}

type Environment = Readonly<Record<string, string>>;

export class ServerCommands {
  readonly #core: ManagementCore;
  readonly #port: ServedPort;
  /** Those who wait for a word, by CID. */
  readonly #waiting = new Map<number, Waiting>();
  /** CIDs of those that were told of, by peer-id. */
  readonly #cids = new Map<number, number>();
  readonly #kids = new Map<number, number>();

  constructor(core: ManagementCore, port: ServedPort) {
    this.#core = core;
    this.#port = port;
  }

  /** Asks whether a client may come in, or stay. Rejects when the signal fires. */
  async judge(
    id: number,
    renegotiation: boolean,
    environment: Environment,
    pending: Waiting['pending'],
    signal: AbortSignal,
  ): Promise<Judgement> {
    if (!renegotiation) {
      this.#cids.set(id, this.#port.clientIdOf(id) ?? 0);
      this.#kids.delete(id);
    }
    const cid = this.#cids.get(id) ?? 0;
    const kid = renegotiation ? (this.#kids.get(id) ?? 0) + 1 : 0;
    this.#kids.set(id, kid);
    const answer = withinSignal<Judgement>(signal, (resolve) => {
      this.#waiting.set(cid, { kid, decide: resolve, pending });
    });
    this.#tell(`${renegotiation ? 'REAUTH' : 'CONNECT'},${cid},${kid}`, environment, { asks: true });
    return answer.finally(() => {
      if (this.#waiting.get(cid)?.kid === kid) this.#waiting.delete(cid);
    });
  }

  established(id: number, environment: Environment): void {
    const cid = this.#port.clientIdOf(id);
    if (cid !== undefined) this.#tell(`ESTABLISHED,${cid}`, environment);
  }

  /** An answer to what `client-pending-auth` asked. */
  response(id: number, base64: string, environment: Environment): void {
    const cid = this.#cids.get(id);
    if (cid === undefined || !/^[\x20-\x7e]*$/.test(base64)) return;
    this.#tell(`CR_RESPONSE,${cid},${this.#kids.get(id) ?? 0},${base64}`, environment);
  }

  address(id: number, text: string, primary: boolean): void {
    const cid = this.#cids.get(id);
    if (cid !== undefined) this.#core.say(`>CLIENT:ADDRESS,${cid},${text},${primary ? 1 : 0}`);
  }

  disconnected(id: number, environment: Environment): void {
    const cid = this.#cids.get(id);
    if (cid === undefined) return;
    this.#cids.delete(id);
    this.#kids.delete(id);
    this.#tell(`DISCONNECT,${cid}`, environment, { counted: false });
  }

  traffic(): readonly string[] {
    return this.#port.clients().flatMap(({ id, bytesReceived, bytesSent }) => {
      const cid = this.#port.clientIdOf(id);
      return cid === undefined ? [] : [`>BYTECOUNT_CLI:${cid},${bytesReceived},${bytesSent}`];
    });
  }

  clientAuth(cidText: string, kidText: string, withOptions: boolean): void {
    const ids = this.#ids(cidText, kidText);
    if (ids === undefined) return;
    const decide = (lines: readonly string[]): void => {
      const judgement = { accept: true, options: lines.join('\n'), reason: '', clientReason: undefined };
      this.#report(this.#decide(ids, judgement), 'client-auth');
    };
    const { connection } = this.#core;
    if (withOptions && connection !== undefined) connection.extra = { lines: [], done: decide };
    else decide([]);
  }

  clientDeny(cidText: string, kidText: string, reason: string, clientReason: string | undefined): void {
    const ids = this.#ids(cidText, kidText);
    if (ids === undefined) return;
    this.#report(this.#decide(ids, { accept: false, options: '', reason, clientReason }), 'client-deny');
  }

  clientPendingAuth(cidText: string, kidText: string, extra: string, secondsText: string): void {
    const ids = this.#ids(cidText, kidText);
    if (ids === undefined) return;
    if (!/^\s*\d/.test(secondsText)) {
      this.#core.say('ERROR: cannot parse TIMEOUT');
      return;
    }
    const waiting = this.#waiting.get(ids.cid);
    const done = waiting?.kid === ids.kid && waiting.pending(extra, integerOf(secondsText));
    this.#core.say(
      done
        ? 'SUCCESS: client-pending-auth command succeeded'
        : 'ERROR: client-pending-auth command failed. Extra parameter might be too long',
    );
  }

  clientKill(cidText: string, message: string | undefined): void {
    const cid = this.#cid(cidText);
    if (cid === undefined) return;
    const id = this.#idOf(cid);
    const there = id !== undefined;
    if (there) void this.#port.kick(id, message).catch(() => {});
    this.#report(there, 'client-kill');
  }

  kill(victim: string): void {
    const [proto = '', host = '', portText = ''] = victim.split(':');
    if (proto !== '' && host !== '' && portText !== '') {
      this.#killAddress(proto, host, portText);
      return;
    }
    if (proto === '') {
      this.#core.say('ERROR: kill parse');
      return;
    }
    const killed = this.#kick(({ name }) => name === proto);
    this.#core.say(
      killed > 0
        ? `SUCCESS: common name '${proto}' found, ${killed} client(s) killed`
        : `ERROR: common name '${proto}' not found`,
    );
  }

  pushUpdate(cidText: string | undefined, options: string): void {
    const cid = cidText === undefined ? undefined : this.#cid(cidText);
    if (cidText !== undefined && cid === undefined) {
      this.#core.say('ERROR: push-update-cid fail during cid parsing');
      return;
    }
    const id = cid === undefined ? undefined : this.#idOf(cid);
    const list = options.split(',').map((option) => option.trim());
    const update = cid !== undefined && id === undefined ? Promise.resolve([]) : this.#port.pushUpdate(list, id);
    const report = (count: number): void =>
      count > 0
        ? this.#core.say(`SUCCESS: ${count} client(s) updated`, 'SUCCESS: push-update command succeeded')
        : this.#core.say('ERROR: no client updated', 'ERROR: push-update command failed');
    const done = update.then(
      (told) => report(told.length),
      () => report(0),
    );
    if (this.#core.connection !== undefined) this.#core.connection.busy = done;
  }

  #killAddress(proto: string, host: string, portText: string): void {
    if (!/^\d+\.\d+\.\d+\.\d+$/.test(host)) {
      this.#core.say(`ERROR: error parsing IP address: ${host}`);
      return;
    }
    const port = integerOf(portText);
    if (port <= 0 || port > 65_535 || (proto !== 'udp' && proto !== 'tcp')) {
      this.#core.say(`ERROR: port number or protocol out of range: ${portText} ${proto}`);
      return;
    }
    const name = proto === 'tcp' ? 'tcp-server' : 'udp';
    const killed = this.#kick(
      (client) => client.address === host && client.port === port && client.transport === proto,
    );
    this.#core.say(
      killed > 0
        ? `SUCCESS: ${killed} client(s) at address ${name}:${host}:${port} killed`
        : `ERROR: client at address ${name}:${host}:${port} not found`,
    );
  }

  #kick(which: (client: ServedClient) => boolean): number {
    const some = this.#port.clients().filter(which);
    for (const { id } of some) void this.#port.kick(id, undefined).catch(() => {});
    return some.length;
  }

  #decide({ cid, kid }: { cid: number; kid: number }, judgement: Judgement): boolean {
    const waiting = this.#waiting.get(cid);
    if (waiting?.kid !== kid) return false;
    this.#waiting.delete(cid);
    waiting.decide(judgement);
    return true;
  }

  /** `asks`: what a client says of itself is shown whatever the filter; `counted`: how many are in is told, too. */
  #tell(head: string, environment: Environment, { counted = true, asks = false } = {}): void {
    const level = this.#core.connection?.envFilter ?? 0;
    // The newest first, as the C program has it.
    const known = Object.entries(environment).reverse();
    const all = [...(counted ? [['n_clients', String(this.#port.clients().length)] as const] : []), ...known];
    const shown = all
      .map(([name, value]) => `${name}=${value}`)
      .filter((text) => isShown(text, level) || (asks && /^(IV|UV)_/.test(text)));
    this.#core.say(`>CLIENT:${head}`, ...shown.map((text) => `>CLIENT:ENV,${text}`), '>CLIENT:ENV,END');
  }

  #report(done: boolean, command: string): void {
    this.#core.say(done ? `SUCCESS: ${command} command succeeded` : `ERROR: ${command} command failed`);
  }

  #ids(cidText: string, kidText: string): { cid: number; kid: number } | undefined {
    const cid = this.#cid(cidText);
    if (cid === undefined) return undefined;
    if (!/^\s*\d/.test(kidText)) {
      this.#core.say('ERROR: cannot parse KID');
      return undefined;
    }
    return { cid, kid: integerOf(kidText) };
  }

  #cid(text: string): number | undefined {
    if (/^\s*\d/.test(text)) return integerOf(text);
    this.#core.say('ERROR: cannot parse CID');
    return undefined;
  }

  #idOf(cid: number): number | undefined {
    return this.#port.clients().find(({ id }) => this.#port.clientIdOf(id) === cid)?.id;
  }
}

const SHOWN_NAMES = [
  'username=',
  'password=',
  'X509_0_CN=',
  'tls_serial_',
  'untrusted_ip=',
  'ifconfig_local=',
  'ifconfig_netmask=',
  'daemon_start_time=',
  'daemon_pid=',
  'dev=',
  'ifconfig_pool_remote_ip=',
  'ifconfig_pool_netmask=',
  'time_duration=',
  'bytes_sent=',
  'bytes_received=',
  'session_id=',
  'session_state=',
];

/** `env-filter`: 0 all, 1 the usual and X509_…, 2 the usual. */
function isShown(text: string, level: number): boolean {
  if (level === 0) return true;
  if (level <= 1 && text.startsWith('X509_')) return true;
  return level <= 2 && SHOWN_NAMES.some((name) => text.startsWith(name));
}
