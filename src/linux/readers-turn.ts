import { IpProtocol } from '../ip/packet.ts';

/** A socket of the system's usual size holds some 270 small packets (each counts as 768 bytes and more): half of that. */
const UNREAD_PACKETS_MAX = 128;

/**
 * When the programs of this machine that read what comes out of the tunnel should have the processor. TCP waits for its
 * reader by itself; datagrams that come faster than their reader gets to run overflow its socket, and are lost.
 */
export class ReadersTurn {
  #unread = 0;

  /** Whether it is their turn after this packet. `protocol`: of its IP header. */
  isAfter(protocol: number): boolean {
    if (protocol === IpProtocol.tcp || ++this.#unread < UNREAD_PACKETS_MAX) return false;
    this.#unread = 0;
    return true;
  }
}
