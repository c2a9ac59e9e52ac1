// What an agent can be asked to do inside its namespace: the requests and their answers, shared by both sides.

export interface AgentWork {
  /** Listens on TCP, digests what arrives on each connection and answers with the digest when the sender ends. */
  tcpSink: { ask: { host: string; port: number }; answer: Record<string, never> };
  /** Sends `bytes` of random data to a sink; the answer has the digest as sent and as received. */
  tcpSend: {
    ask: { host: string; port: number; bytes: number; timeoutMs: number };
    answer: { sent: string; received: string };
  };
  /** Answers every datagram with itself. */
  udpEcho: { ask: { host: string; port: number }; answer: Record<string, never> };
  /** Sends numbered datagrams at a steady rate to an echo, until `count` are sent or `udpStop`; answers what came back. */
  udpSequence: {
    ask: { host: string; port: number; count: number; everyMs: number; sizeBytes: number; graceMs: number };
    answer: { sent: number; received: number; lost: number[] };
  };
  udpStop: { ask: Record<string, never>; answer: Record<string, never> };
  /** Random datagrams, `count` of them, from any port of this namespace. */
  udpGarbage: { ask: { host: string; port: number; count: number }; answer: { sent: number } };
  /**
   * Sends datagrams (hexadecimal) from one port, the last of them a client's plain hard reset; tells what came back until
   * that one was answered.
   */
  udpAnswers: { ask: { host: string; port: number; packets: string[] }; answer: { replies: string[] } };
  /** Passes datagrams between whoever sends to `port` and the target, in both directions, until `relayMove`. */
  relay: { ask: { port: number; targetHost: string; targetPort: number }; answer: Record<string, never> };
  /** From now on the relay speaks to its target from another port: a client behind a NAT that forgot. */
  relayMove: { ask: Record<string, never>; answer: { from: number; to: number } };
  /** What has come to the relay from its clients so far, hexadecimal. */
  relayHeard: { ask: Record<string, never>; answer: { packets: string[] } };
  /** A datagram socket that swallows everything; tells how many came when asked with `holeCount`. */
  hole: { ask: { host: string; port: number; transport: 'udp' | 'tcp' }; answer: Record<string, never> };
  holeCount: { ask: Record<string, never>; answer: { packets: number } };
}

export type AgentVerb = keyof AgentWork;

export interface AgentRequest {
  readonly id: number;
  readonly verb: AgentVerb;
  readonly ask: unknown;
}

export interface AgentReply {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}
