// Whether the key that a peer's first packet brings may be used (`tls-crypt-v2-max-age`, `tls-crypt-v2-verify`), at the TLS
// server of two equal ends. Nobody gets a session before that.

import type { Config, ConnectionProfile } from '../config/config.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';
import { type BroughtKey, keyRefusal } from '../session/brought-key.ts';
import type { ConnectionScripts } from '../tunnel/host-port.ts';
import type { ClientMaterial } from './ports.ts';

type Wrap = Extract<BroughtKey, { wrap: unknown }>['wrap'];

export interface KeyGatePorts {
  readonly material: Pick<ClientMaterial, 'broughtKey'>;
  readonly scripts: Pick<ConnectionScripts, 'verifyKey'>;
  readonly clock: Pick<ClockPort, 'now'>;
  readonly log: Log;
}

export class KeyGate {
  readonly #config: Config;
  readonly #ports: KeyGatePorts;
  #asking = false;

  constructor(config: Config, ports: KeyGatePorts) {
    this.#config = config;
    this.#ports = ports;
  }

  /**
   * Hands on what the packet's key makes, which is the receiver's to keep or wipe: at once, or when a program has agreed;
   * the promise is of that. While one is asked for, packets that bring a key are dropped: they come again.
   */
  pass(
    profile: ConnectionProfile,
    first: Uint8Array,
    address: SocketAddress,
    then: (wrap: Wrap) => void,
  ): Promise<void> | undefined {
    const { material, clock, log } = this.#ports;
    if (this.#asking) return undefined;
    const key = material.broughtKey(profile, first);
    if (key === undefined) return undefined;
    const from = formatLogAddress(address);
    const { keyMaxAgeDays } = this.#config.tls;
    const refusal = keyRefusal(key, first, keyMaxAgeDays, clock.now().unixSeconds, from);
    if (refusal !== undefined || 'problem' in key) {
      if (!('problem' in key)) key.wrap.clientKey.fill(0);
      for (const [flags, text] of refusal ?? []) log(flags, text);
      return undefined;
    }
    if (this.#config.scripts.tlsCryptV2Verify === undefined) {
      then(key.wrap);
      return undefined;
    }
    return this.#ask(key, from, then);
  }

  async #ask({ wrap, metadata }: Exclude<BroughtKey, { problem: string }>, from: string, then: (wrap: Wrap) => void) {
    const { scripts, log } = this.#ports;
    this.#asking = true;
    try {
      if (await scripts.verifyKey(metadata)) return then(wrap);
      wrap.clientKey.fill(0);
      log(Level.tlsErrors, `TLS Error: can not extract tls-crypt-v2 client key from ${from}`);
    } finally {
      this.#asking = false;
    }
  }
}
