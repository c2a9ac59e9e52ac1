// Tells that links, addresses or routes have changed, and that the machine has slept. The kernel raises a signal when
// something lies in the rtnetlink socket (O_ASYNC), which Node hears as any other: nothing waits, nothing is asked while
// nothing happens, and the process is not kept alive. The signal is SIGURG, which does nothing where nobody listens.

import type { SocketAddress } from '../ip/socket-address.ts';
import type { NetworkWatchPort } from '../ports.ts';
import { bootMs } from './clock.ts';
import { checked, Errno } from './errno.ts';
import { errno, libc, nativeBytes } from './libc.ts';
import { writeSockaddr } from './sockaddr.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
/** RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE of linux/rtnetlink.h. */
const GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
const SOCKADDR_NL_BYTES = 12;
const F_SETFL = 4;
const F_SETOWN = 8;
const F_SETSIG = 10;
const O_NONBLOCK = 0o4000;
const O_ASYNC = 0o20000;
const MSG_DONTWAIT = 0x40;
const SIGURG = 23;
const RECEIVE_BYTES = 32_768;
/** One event in the queue says as much as a thousand: what does not fit is dropped by the kernel, and that is told too. */
const READ_BUDGET = 64;
/** Links change after a sleep, as a rule; this is for machines where they don't. */
const CLOCK_LOOK_MS = 5_000;
/** A jump of one clock against the other that is no sleep. */
const LEAST_SLEEP_MS = 1_000;

export function createNetworkWatch(): NetworkWatchPort {
  // How far the clock that goes on in sleep is ahead of the one that does not.
  const lead = (): number => bootMs() - performance.now();
  let knownLeadMs = lead();
  return {
    watch(changed) {
      const socket = openSocket();
      const received = nativeBytes(RECEIVE_BYTES);
      const drain = (): void => {
        let found = false;
        for (let count = 0; count < READ_BUDGET; count++) {
          if (libc.recv(socket, received.address, RECEIVE_BYTES, MSG_DONTWAIT) >= 0) found = true;
          else if (errno() === Errno.EAGAIN) break;
          else found = true; // ENOBUFS: more has happened than the queue holds
        }
        if (found) changed();
      };
      process.on('SIGURG', drain);
      checked(libc.fcntl(socket, F_SETOWN, process.pid), 'fcntl F_SETOWN');
      checked(libc.fcntl(socket, F_SETSIG, SIGURG), 'fcntl F_SETSIG');
      checked(libc.fcntl(socket, F_SETFL, O_NONBLOCK | O_ASYNC), 'fcntl O_ASYNC');
      const timer = setInterval(() => {
        if (lead() - knownLeadMs >= LEAST_SLEEP_MS) changed();
      }, CLOCK_LOOK_MS);
      timer.unref();
      return () => {
        clearInterval(timer);
        process.off('SIGURG', drain);
        libc.close(socket);
      };
    },
    sleptMs() {
      const leadMs = lead();
      const sleptMs = leadMs - knownLeadMs;
      if (sleptMs < LEAST_SLEEP_MS) return 0;
      knownLeadMs = leadMs;
      return sleptMs;
    },
    rebind(fd: number, remote: SocketAddress) {
      const address = nativeBytes(64); // AF_UNSPEC: forget the address that was chosen, and choose anew
      libc.connect(fd, address.address, 16);
      const length = writeSockaddr(address.view, 0, remote);
      checked(libc.connect(fd, address.address, length), 'connect');
    },
  };
}

/** struct sockaddr_nl: family u16 | pad u16 | pid u32 | groups u32. */
function openSocket(): number {
  const what = 'Cannot listen to rtnetlink';
  const socket = checked(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), what);
  const address = nativeBytes(64);
  address.view.setUint16(0, AF_NETLINK, true);
  address.view.setUint32(8, GROUPS, true);
  if (libc.bind(socket, address.address, SOCKADDR_NL_BYTES) < 0) {
    const number = errno();
    libc.close(socket);
    throw new Error(`${what} (errno=${number})`);
  }
  return socket;
}
