// port-share: a connection that is not OpenVPN's is passed on to another server, bytes and all.

import { closeSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { Level, type Log } from '../log.ts';
import type { StreamRelay } from '../server/ports.ts';

/** Connections that are passed on at once; more are closed. */
const RELAYED_LIMIT = 1024;

/** Relays to one host and port. `close` ends what is under way. */
export function createStreamRelay(host: string, port: number, log: Log): StreamRelay {
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
    relay(fd, readAhead) {
      if (sockets.size >= 2 * RELAYED_LIMIT) {
        closeSync(fd);
        return;
      }
      const near = new Socket({ fd, readable: true, writable: true });
      const far = connect({ host, port, noDelay: true });
      track(near, () => far);
      track(far, () => near);
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
