// port-share: a connection that is not OpenVPN's is passed on to another server, bytes and all.

import { closeSync, rmSync, writeFileSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { join } from 'node:path';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import type { StreamRelay } from '../server/ports.ts';

/** Connections that are passed on at once; more are closed. */
const RELAYED_LIMIT = 1024;

/**
 * Relays to one host and port. `close` ends what is under way. `folder`: while a connection lasts, a file there says where
 * it comes from; it is named after this side of the connection to the other server, `[AF_INET]127.0.0.1:40000`.
 */
export function createStreamRelay(host: string, port: number, folder: string | undefined, log: Log): StreamRelay {
  const sockets = new Set<Socket>();
  log(Level.multi, 'PORT SHARE PROXY: proxy starting');
  const track = (socket: Socket, other: () => Socket | undefined): void => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      other()?.destroy();
    });
  };
  return {
    relay(fd, readAhead, from) {
      if (sockets.size >= 2 * RELAYED_LIMIT) {
        closeSync(fd);
        return;
      }
      const near = new Socket({ fd, readable: true, writable: true });
      const far = connect({ host, port, noDelay: true });
      track(near, () => far);
      track(far, () => near);
      if (folder !== undefined) noteOrigin(folder, far, from, log);
      if (readAhead.length > 0) far.write(readAhead);
      near.pipe(far);
      far.pipe(near);
    },
    close() {
      for (const socket of sockets) socket.destroy();
      log(Level.info, 'PORT SHARE PROXY: proxy exiting');
    },
  };
}

function noteOrigin(folder: string, far: Socket, from: SocketAddress, log: Log): void {
  far.once('connect', () => {
    const { localAddress = '', localPort = 0, localFamily } = far;
    const path = join(folder, `[AF_INET${localFamily === 'IPv6' ? '6' : ''}]${localAddress}:${localPort}`);
    try {
      writeFileSync(path, formatLogAddress(from), { mode: 0o640 });
    } catch (error) {
      log(Level.warning, `PORT SHARE: unable to write journal file in ${path}: ${(error as Error).message}`);
      return;
    }
    far.once('close', () => rmSync(path, { force: true }));
  });
}
