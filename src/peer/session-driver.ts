// Drives one session: one input, then everything that follows from it, until the session has nothing more to say.

import type { ClockPort, Instants } from '../ports.ts';
import type { SessionEvent } from '../session/event.ts';
import type { Session, Traffic } from '../session/session.ts';

export interface SessionDriverPorts {
  readonly clock: ClockPort;
  send(packet: Uint8Array): void;
  traffic(): Traffic;
  handle(event: SessionEvent): void;
}

export class SessionDriver {
  readonly session: Session;
  readonly #ports: SessionDriverPorts;
  #cancelTimer = (): void => {};
  #over = false;

  /** `make` is given what the session calls when it has to be woken. */
  constructor(make: (wake: () => void) => Session, ports: SessionDriverPorts) {
    this.#ports = ports;
    this.session = make(() => this.drive((now) => this.session.handleWake(now)));
  }

  drive(input: (now: Instants) => void): void {
    if (this.#over) return;
    const now = this.#ports.clock.now();
    input(now);
    this.#drain(now);
  }

  /** Wipes the session; nothing of it is heard any more. What the end left behind still goes out, unless it is `silent`. */
  close(silent = false): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimer();
    if (!silent) this.#transmit(this.#ports.clock.now());
    this.session.close();
  }

  #drain(now: Instants): void {
    for (let more = true; more && !this.#over; ) {
      more = this.#transmit(now);
      for (
        let event = this.#over ? undefined : this.session.pollEvent();
        event !== undefined;
        event = this.#over ? undefined : this.session.pollEvent()
      ) {
        more = true;
        this.#ports.handle(event);
      }
    }
    this.#cancelTimer();
    const deadline = this.#over ? undefined : this.session.pollTimeout();
    if (deadline === undefined) return;
    this.#cancelTimer = this.#ports.clock.at(deadline.atMs, () =>
      this.drive((at) => this.session.handleTimeout(at, this.#ports.traffic())),
    );
  }

  /** False when there was nothing to send. */
  #transmit(now: Instants): boolean {
    let sent = false;
    for (let packet = this.session.pollTransmit(now); packet !== undefined; packet = this.session.pollTransmit(now)) {
      this.#ports.send(packet);
      sent = true;
    }
    return sent;
  }
}
