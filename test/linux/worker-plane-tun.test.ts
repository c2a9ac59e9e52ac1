import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { libc } from '../../src/linux/libc.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { createNetlinkPort } from '../../src/linux/netlink.ts';
import { createTunPort } from '../../src/linux/tun.ts';
import { createWorkerPlane } from '../../src/linux/worker-plane.ts';
import type { OpenDevice } from '../../src/tunnel/ports.ts';
import { enterPrivateNetwork, privateNetworkRefusal } from '../lab/private-network.ts';
import { type BuiltProgram, buildDataWorker } from '../lab/worker-url.ts';
import { clientPeer, EventLog, keyPair, linkRequest, packetPair, readPacket, writePacket } from './plane-rig.ts';

const refusal = privateNetworkRefusal();
if (refusal !== undefined) console.warn(`skipped: the worker plane on a tun device: ${refusal}`);

const ip = (...words: string[]) => execFileSync('ip', words, { encoding: 'utf8', timeout: 5_000 });

describe.skipIf(refusal !== undefined).each([1, 2])('the worker plane on a real tun, %i workers', (workers) => {
  let worker: BuiltProgram;
  let network: { leave(): void };
  beforeAll(async () => {
    worker = await buildDataWorker();
    network = enterPrivateNetwork();
    ip('link', 'set', 'lo', 'up');
  });
  afterAll(() => {
    network.leave();
    worker.remove();
  });

  it('carries what programs send into the tunnel, and back, and goes on when the host loses its source address', async () => {
    const links = createLinkPort();
    const port = createNetlinkPort();
    const tunPort = createTunPort();
    const tun = tunPort.open({ name: 'tun', layer: 'tun', node: undefined, txQueueLength: undefined });
    port.addAddress(tun.name, '10.8.0.2', 24, {});
    port.setLinkUp(tun.name, true);
    // The outer network: two addresses of the loopback, the first reached from the second.
    ip('addr', 'add', '192.0.2.1/32', 'dev', 'lo');
    ip('addr', 'add', '192.0.2.11/32', 'dev', 'lo');
    ip('route', 'replace', 'local', '192.0.2.1', 'dev', 'lo', 'table', 'local', 'src', '192.0.2.11');

    const [a, b] = [new EventLog(), new EventLog()];
    const planes = [a, b].map(({ listener }) => createWorkerPlane({ workerUrl: worker.url, listener, workers }));
    const server = socketAddress(Uint8Array.of(192, 0, 2, 1), 1194);
    const socketB = links.open(linkRequest({ local: server }));
    const socketA = links.open(linkRequest({ remote: server }));
    expect(socketA.local.address).toEqual(Uint8Array.of(192, 0, 2, 11));
    const [near, far] = packetPair();
    const end = (index: 0 | 1, opened: Pick<OpenDevice, 'fd' | 'offload'>, linkFd: number, connected: boolean) => {
      const plane = planes[index]!;
      const device = plane.addDevice({
        endpoint: { kind: 'fd', fd: opened.fd, offload: opened.offload },
        layer: 'tun',
        mtuBytes: 1500,
        blockIpv6: false,
      });
      const link = plane.addLink({
        endpoint: { kind: 'fd', fd: linkFd },
        framing: 'udp',
        connecting: false,
        remote: connected ? server : undefined,
        connected,
        readAhead: undefined,
      });
      const address = connected ? server : socketA.local;
      const peer = plane.addPeer({ ...clientPeer(device, link, address), mayFloat: !connected });
      const key = plane.addKey(peer, keys[index]);
      plane.useKey(peer, key);
      return { plane, device, link, peer };
    };
    const keys = keyPair('AES-256-GCM');
    const client = end(0, tun, socketA.fd, true);
    const far1 = end(1, { fd: near }, socketB.fd, false);
    await Promise.all(planes.map(({ ready }) => ready));

    // A program's datagram goes into the tunnel; the far end turns it round.
    const program = createSocket('udp4');
    program.bind(0, '10.8.0.2');
    await once(program, 'listening');
    const answer = once(program, 'message') as Promise<[Buffer]>;
    await send('through the tunnel');
    const inner = await nextDatagram();
    expect(Buffer.from(inner.subarray(28)).toString()).toBe('through the tunnel');
    expect(writePacket(far, turnedRound(inner))).toBe(true);
    expect((await answer)[0].toString()).toBe('through the tunnel');

    // The host loses the address that the socket was connected from: the socket takes another.
    ip('route', 'replace', 'local', '192.0.2.1', 'dev', 'lo', 'table', 'local', 'src', '192.0.2.1');
    ip('addr', 'del', '192.0.2.11/32', 'dev', 'lo');
    await send('from elsewhere');
    const { address } = await b.next('float-request');
    expect(address.address).toEqual(Uint8Array.of(192, 0, 2, 1));
    far1.plane.answerFloat(far1.peer, address, true);
    await send('from elsewhere');
    expect(Buffer.from((await nextDatagram()).subarray(28)).toString()).toBe('from elsewhere');

    // The device is taken away under the plane: told once, and the process goes on.
    ip('link', 'del', tun.name);
    expect(await a.next('device-error')).toMatchObject({ device: client.device });

    program.close();
    await Promise.all(planes.map((plane) => plane.close()));
    for (const fd of [near, far, socketA.fd, socketB.fd, tun.fd]) libc.close(fd);
    port.close();

    /** Resolves when the kernel has it: the reads below block this thread. */
    function send(text: string): Promise<void> {
      return new Promise((resolve, reject) => {
        program.send(text, 7, '10.8.0.1', (error) => (error === null ? resolve() : reject(error)));
      });
    }

    /** The next IPv4 UDP packet out of the tunnel: the kernel sends router solicitations of its own. */
    async function nextDatagram(): Promise<Uint8Array> {
      for (;;) {
        const packet = readPacket(far);
        if (packet === undefined) throw new Error('nothing came through the tunnel');
        if (packet[0] === 0x45 && packet[9] === 17) return packet;
      }
    }
  });
});

/** An IPv4 UDP packet with both ends exchanged; the sums stay right. */
function turnedRound(packet: Uint8Array): Uint8Array {
  const back = packet.slice();
  back.set(packet.subarray(16, 20), 12);
  back.set(packet.subarray(12, 16), 16);
  back.set(packet.subarray(22, 24), 20);
  back.set(packet.subarray(20, 22), 22);
  return back;
}
