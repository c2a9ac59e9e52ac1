// What to do when the host's network has changed under a connection: nothing, most of the time. Pure: what was seen comes
// in, one action comes out.
//
// A way is the kernel's answer to "how does a packet reach the server": device, next hop, source address. Whatever else
// changes on the host (containers, other tunnels, lifetimes that are renewed) leaves it as it was.

/** A machine that slept so long has been given up by the server, or will be before it could answer. */
const LONG_SLEEP_MS = 60_000;
/** Shorter ones are the ordinary unevenness of timers. */
const SHORT_SLEEP_MS = 4_000;

export interface NetworkSight {
  /** The way to the server as text; undefined: there is none, but through the tunnel itself. */
  readonly way: string | undefined;
  /** How long the machine has slept since the last look. */
  readonly sleptMs: number;
  readonly stream: boolean;
  /** The session stands; before that it is still repeating its first packets. */
  readonly isUp: boolean;
}

export type NetworkAction =
  | { readonly action: 'nothing' }
  /** There is no way at all: it may come back. */
  | { readonly action: 'wait' }
  /** The session may live on: let the server hear from us, and see whether it answers. `rebind`: from a new address. */
  | { readonly action: 'probe'; readonly rebind: boolean; readonly reason: string }
  | { readonly action: 'reconnect'; readonly reason: string };

const NOTHING: NetworkAction = { action: 'nothing' };

/** Remembers the way to the server from one look to the next. */
export class NetworkChange {
  #way: string | undefined;
  #lost: boolean;

  constructor(way: string | undefined) {
    this.#way = way;
    this.#lost = way === undefined;
  }

  handleSight({ way, sleptMs, stream, isUp }: NetworkSight): NetworkAction {
    const slept = sleptMs >= SHORT_SLEEP_MS ? `the machine slept for ${Math.round(sleptMs / 1000)} seconds` : undefined;
    if (sleptMs >= LONG_SLEEP_MS && slept !== undefined)
      return this.#found(way, { action: 'reconnect', reason: slept });
    if (way === undefined) {
      if (this.#lost) return NOTHING;
      this.#lost = true;
      return { action: 'wait' };
    }
    const [before, lost] = [this.#way, this.#lost];
    if (way !== before) {
      const reason =
        before === undefined ? `there is a way to the server, ${way}` : `the way to the server is ${way} now`;
      if (before === undefined && !isUp) return this.#found(way, NOTHING);
      if (stream || !isUp) return this.#found(way, { action: 'reconnect', reason });
      return this.#found(way, { action: 'probe', rebind: true, reason });
    }
    if (!isUp) return this.#found(way, NOTHING);
    if (slept !== undefined) return this.#found(way, { action: 'probe', rebind: false, reason: slept });
    if (lost) return this.#found(way, { action: 'probe', rebind: !stream, reason: 'the network is back' });
    return NOTHING;
  }

  #found(way: string | undefined, action: NetworkAction): NetworkAction {
    if (way !== undefined) this.#way = way;
    this.#lost = way === undefined;
    return action;
  }
}
