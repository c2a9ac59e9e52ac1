// What is known about the peer so far.

export class PeerFacts {
  /** Set by its first packet. */
  sessionId: Uint8Array | undefined;
  /** What logs know it by: the common name of its certificate, or what the driver of a judged session says. */
  name: string | undefined;
  /** When its last authentic control packet came, and how many did. */
  heardMs = 0;
  packets = 0;
  /** What the network said of its address (ICMP). */
  refusedText: string | undefined;
}
