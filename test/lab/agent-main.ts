// The agent's own process: plain sockets of the namespace it was started in. It ends when the test's side is gone.

import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentReply, AgentRequest, AgentVerb, AgentWork } from './agent-work.ts';

type Worker<Verb extends AgentVerb> = (ask: AgentWork[Verb]['ask']) => Promise<AgentWork[Verb]['answer']>;

let stopSequence: (() => void) | undefined;
let moveRelay: (() => Promise<{ from: number; to: number }>) | undefined;
let holePackets = 0;
const relayHeard: string[] = [];
/** More than a handshake and the first data. */
const RELAY_KEEPS = 40;

interface Speaker {
  readonly port: number;
  readonly address: string;
}

/**
 * Who gets what comes back through a relay: control packets of no wrap go to the session that they acknowledge, data to
 * who sent data last, everything else to who spoke last. A stranger's answers would begin a new session at the client.
 */
class Speakers {
  readonly #ofSession = new Map<string, Speaker>();
  #ofData: Speaker | undefined;
  #last: Speaker | undefined;

  heard(message: Buffer, from: Speaker): void {
    this.#last = from;
    if (isData(message)) this.#ofData = from;
    else this.#ofSession.set(message.toString('hex', 1, 9), from);
  }

  whoHears(message: Buffer): Speaker | undefined {
    if (isData(message)) return this.#ofData ?? this.#last;
    const session = 10 + 4 * (message[9] ?? 0);
    return this.#ofSession.get(message.toString('hex', session, session + 8)) ?? this.#last;
  }
}

const isData = (message: Buffer): boolean => [6, 9].includes((message[0] ?? 0) >> 3);

const workers: { readonly [Verb in AgentVerb]: Worker<Verb> } = {
  tcpSink: async ({ host, port }) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const digest = createHash('sha256');
      socket.on('data', (chunk) => digest.update(chunk));
      socket.on('end', () => socket.end(digest.digest('hex')));
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    return {};
  },

  tcpSend: ({ host, port, bytes, timeoutMs }) =>
    new Promise((resolve, reject) => {
      const payload = randomBytes(bytes);
      const sent = createHash('sha256').update(payload).digest('hex');
      let received = '';
      const socket = connect({ host, port, allowHalfOpen: true }, () => socket.end(payload));
      const timer = setTimeout(() => socket.destroy(new Error(`TCP transfer: not within ${timeoutMs} ms`)), timeoutMs);
      socket.setEncoding('utf8').on('data', (text: string) => {
        received += text;
      });
      socket.on('error', reject);
      socket.on('close', () => {
        clearTimeout(timer);
        resolve({ sent, received });
      });
    }),

  udpEcho: async ({ host, port }) => {
    const socket = await bound(host, port);
    socket.on('message', (message, from) => socket.send(message, from.port, from.address));
    return {};
  },

  udpSequence: async ({ host, port, count, everyMs, sizeBytes, graceMs }) => {
    const socket = await bound(host.includes(':') ? '::' : '0.0.0.0', 0);
    const missing = new Set<number>();
    socket.on('message', (message) => missing.delete(message.readUInt32BE(0)));
    let stopped = false;
    stopSequence = () => {
      stopped = true;
    };
    const startedAt = performance.now();
    let sent = 0;
    while (sent < count && !stopped) {
      // As many as the clock says are due, so that a late timer does not slow the rate down.
      const due = Math.min(count, Math.floor((performance.now() - startedAt) / everyMs) + 1);
      for (; sent < due; sent += 1) {
        const packet = Buffer.alloc(sizeBytes);
        packet.writeUInt32BE(sent, 0);
        missing.add(sent);
        socket.send(packet, port, host);
      }
      await delay(everyMs);
    }
    const until = performance.now() + graceMs;
    while (missing.size > 0 && performance.now() < until) await delay(10);
    socket.close();
    return { sent, received: sent - missing.size, lost: [...missing].slice(0, 50) };
  },

  udpStop: async () => {
    stopSequence?.();
    return {};
  },

  udpGarbage: async ({ host, port, count }) => {
    const socket = await bound(host.includes(':') ? '::' : '0.0.0.0', 0);
    for (let sent = 0; sent < count; sent += 1) {
      const packet = randomBytes(1 + (sent % 1400));
      // Every other one begins like a reset of a server, so that it passes the first look.
      if (sent % 2 === 0) packet[0] = 0x40;
      await new Promise<void>((resolve) => socket.send(packet, port, host, () => resolve()));
    }
    socket.close();
    return { sent: count };
  },

  udpAnswers: async ({ host, port, packets }) => {
    const socket = await bound('0.0.0.0', 0);
    const session = packets.at(-1)?.slice(2, 18);
    const replies: string[] = [];
    const answered = new Promise<void>((resolve) => {
      socket.on('message', (message) => {
        replies.push(message.toString('hex'));
        // Opcode, session id, one acknowledgement, and the session id that it is of.
        if (message.toString('hex', 14, 22) === session) resolve();
      });
    });
    for (const packet of packets) {
      await new Promise<void>((resolve) => socket.send(Buffer.from(packet, 'hex'), port, host, () => resolve()));
    }
    await answered;
    socket.close();
    return { replies };
  },

  relay: async ({ port, targetHost, targetPort }) => {
    const inner = await bound('0.0.0.0', port);
    const speakers = new Speakers();
    const open = async () => {
      const socket = await bound('0.0.0.0', 0);
      socket.on('message', (message) => {
        const to = speakers.whoHears(message);
        if (to) inner.send(message, to.port, to.address);
      });
      return socket;
    };
    let outer = await open();
    inner.on('message', (message, from) => {
      speakers.heard(message, from);
      if (relayHeard.length < RELAY_KEEPS) relayHeard.push(message.toString('hex'));
      outer.send(message, targetPort, targetHost);
    });
    moveRelay = async () => {
      const former = outer;
      const from = former.address().port;
      outer = await open();
      // What is on its way back to the former port still arrives.
      setTimeout(() => former.close(), 2000);
      return { from, to: outer.address().port };
    };
    return {};
  },

  relayMove: async () => {
    if (!moveRelay) throw new Error('no relay runs here');
    return moveRelay();
  },

  relayHeard: async () => ({ packets: relayHeard }),

  hole: async ({ host, port, transport }) => {
    if (transport === 'udp') {
      (await bound(host, port)).on('message', () => {
        holePackets += 1;
      });
      return {};
    }
    const server = createServer((socket) => {
      socket.on('data', () => {
        holePackets += 1;
      });
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    return {};
  },

  holeCount: async () => ({ packets: holePackets }),
};

function bound(host: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, host, () => {
      // An ICMP answer to something sent earlier is no reason to end.
      socket.off('error', reject).on('error', () => {});
      resolve(socket);
    });
  });
}

async function answer(request: AgentRequest): Promise<AgentReply> {
  try {
    const worker = workers[request.verb] as (ask: unknown) => Promise<unknown>;
    return { id: request.id, answer: await worker(request.ask) };
  } catch (error) {
    return { id: request.id, error: error instanceof Error ? error.message : String(error) };
  }
}

process.on('message', (request: AgentRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit(0));
process.send?.({ id: 0 });
