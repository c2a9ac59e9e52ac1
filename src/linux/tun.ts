// The tun device. A kernel tun made this way is POINTOPOINT and NOARP and has no link-layer address; a tap has one.
//
// A tun of our own has a virtio header before each packet and takes and gives super-packets. A persistent device is read
// packet by packet: what is set by TUNSETOFFLOAD stays when we go, and whoever opens it next may not know of it.

import { accessSync, constants } from 'node:fs';
import { VIRTIO_HEADER_BYTES } from '../ip/virtio-header.ts';
import type { DevicePort, OpenDevice } from '../tunnel/ports.ts';
import { checked, Errno, hostError } from './errno.ts';
import { errno, libc, nativeBytes } from './libc.ts';

// struct ifreq: name 16 bytes, then 24 of union (flags u16, index or queue length i32)
const IFREQ_BYTES = 40;
const IFNAME_BYTES = 16;
const TUNSETIFF = 0x400454ca;
const TUNGETIFF = 0x800454d2;
const SIOCGIFINDEX = 0x8933;
const SIOCSIFTXQLEN = 0x8943;
const IFF_TUN = 0x0001;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_PERSIST = 0x0800;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOWNER = 0x400454cc;
const TUNSETGROUP = 0x400454ce;
const IFF_VNET_HDR = 0x4000;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const TUN_F_CSUM_TSO4_TSO6 = 0x07;
const TUN_F_USO4_USO6 = 0x60;
const TUN_NODE = '/dev/net/tun';
const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

/** Who may open a device that stays, beside those with privileges; what is undefined stays as it was. */
export interface DeviceOwner {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

export interface TunPort extends DevicePort {
  /** As `open`, but packet by packet: what others set up for super-packets would stay with a device that stays. */
  openBare(options: Parameters<DevicePort['open']>[0]): OpenDevice;
  /** Whether an open device stays when it is closed, and whose it is then. Throws HostError. */
  setPersistent(device: OpenDevice, persistent: boolean, owner: DeviceOwner): void;
}

/**
 * Opens tun and tap devices by /dev/net/tun. A persistent device of the name is used as it is. A tun of our own has so many
 * `queues`, or one where that can't be had.
 */
export function createTunPort(queues = 1): TunPort {
  const request = nativeBytes(IFREQ_BYTES);
  return {
    open({ name, layer, node, txQueueLength }) {
      const path = node ?? TUN_NODE;
      const opened = layer === 'tun' ? tryQueues(path, name, txQueueLength) : undefined;
      return opened ?? openWith(path, (fd) => attach(fd, name, layer, txQueueLength, 0));
    },
    openBare({ name, layer, node, txQueueLength }) {
      return openWith(node ?? TUN_NODE, (fd) => attach(fd, name, layer, txQueueLength, 0));
    },
    setPersistent({ fd, name }, persistent, { uid, gid }) {
      const on = persistent ? 1 : 0;
      checked(libc.ioctl(fd, TUNSETPERSIST, on), `Cannot ioctl TUNSETPERSIST(${on}) ${name}`);
      if (uid !== undefined) checked(libc.ioctl(fd, TUNSETOWNER, uid), `Cannot ioctl TUNSETOWNER(${uid}) ${name}`);
      if (gid !== undefined) checked(libc.ioctl(fd, TUNSETGROUP, gid), `Cannot ioctl TUNSETGROUP(${gid}) ${name}`);
    },
    mayOpen(node) {
      try {
        accessSync(node ?? TUN_NODE, constants.R_OK | constants.W_OK);
        return true;
      } catch {
        return false;
      }
    },
    close(device) {
      for (const queue of device.queues ?? []) checked(libc.close(queue), `Cannot close ${device.name}`);
      if (device.fd >= 0) checked(libc.close(device.fd), `Cannot close ${device.name}`);
    },
  };

  function openWith(path: string, use: (fd: number) => OpenDevice): OpenDevice {
    const fd = checked(libc.open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0), `Cannot open TUN/TAP dev ${path}`);
    try {
      return use(fd);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  /** With all queues, else with one. */
  function tryQueues(path: string, name: string, txQueueLength: number | undefined): OpenDevice | undefined {
    const first = queues > 1 ? tryOffload(path, name, txQueueLength, IFF_MULTI_QUEUE) : undefined;
    if (first === undefined) return tryOffload(path, name, txQueueLength, 0);
    const more: number[] = [];
    try {
      const flags = IFF_VNET_HDR | IFF_MULTI_QUEUE;
      while (more.length < queues - 1) {
        more.push(openWith(path, (fd) => attach(fd, first.name, 'tun', undefined, flags)).fd);
      }
      return { ...first, queues: more };
    } catch {
      for (const fd of [...more, first.fd]) libc.close(fd);
      return tryOffload(path, name, txQueueLength, 0);
    }
  }

  /** Undefined when the kernel has no virtio headers, or the device is not ours alone. Other failures come again without. */
  function tryOffload(
    path: string,
    name: string,
    txQueueLength: number | undefined,
    more: number,
  ): OpenDevice | undefined {
    let device: OpenDevice;
    try {
      device = openWith(path, (fd) => attach(fd, name, 'tun', txQueueLength, IFF_VNET_HDR | more));
    } catch {
      return undefined;
    }
    const offload = device.persistent ? undefined : setOffload(device.fd);
    if (offload !== undefined) return { ...device, offload };
    libc.close(device.fd);
    return undefined;
  }

  function setOffload(fd: number): 'tcp' | 'tcp-udp' | undefined {
    request.view.setInt32(0, VIRTIO_HEADER_BYTES, true);
    if (libc.ioctl(fd, TUNSETVNETHDRSZ, request.address) < 0) return undefined;
    if (libc.ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM_TSO4_TSO6 | TUN_F_USO4_USO6) >= 0) return 'tcp-udp';
    return libc.ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM_TSO4_TSO6) >= 0 ? 'tcp' : undefined;
  }

  function attach(
    fd: number,
    name: string,
    layer: 'tun' | 'tap',
    txQueueLength: number | undefined,
    more: number,
  ): OpenDevice {
    // The bare words leave the choice to the kernel: the first free tunN or tapN.
    const wanted = name === 'tun' || name === 'tap' ? `${layer}%d` : name;
    if (wanted.length >= IFNAME_BYTES) throw hostError(`Cannot ioctl TUNSETIFF ${name}`, Errno.EINVAL);
    writeName(wanted);
    const flags = (layer === 'tun' ? IFF_TUN : IFF_TAP) | IFF_NO_PI | more;
    request.view.setUint16(IFNAME_BYTES, flags, true);
    checked(libc.ioctl(fd, TUNSETIFF, request.address), `Cannot ioctl TUNSETIFF ${name}`);
    const actual = readName();
    checked(libc.ioctl(fd, TUNGETIFF, request.address), `Cannot ioctl TUNGETIFF ${actual}`);
    const persistent = (request.view.getUint16(IFNAME_BYTES, true) & IFF_PERSIST) !== 0;
    const socket = checked(libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'Cannot open a control socket');
    try {
      // A queue length that is refused leaves the device as good as it was; the C program goes on too.
      if (txQueueLength !== undefined) interfaceRequest(socket, SIOCSIFTXQLEN, actual, txQueueLength);
      const failed = interfaceRequest(socket, SIOCGIFINDEX, actual, 0);
      if (failed !== 0) throw hostError(`Cannot read the index of ${actual}`, failed);
      return { name: actual, index: request.view.getInt32(IFNAME_BYTES, true), fd, persistent };
    } finally {
      libc.close(socket);
    }
  }

  /** 0, or the errno. */
  function interfaceRequest(socket: number, call: number, name: string, value: number): number {
    writeName(name);
    request.view.setInt32(IFNAME_BYTES, value, true);
    return libc.ioctl(socket, call, request.address) < 0 ? errno() : 0;
  }

  function writeName(name: string): void {
    request.bytes.fill(0);
    for (let i = 0; i < name.length; i++) request.bytes[i] = name.charCodeAt(i);
  }

  function readName(): string {
    const end = request.bytes.indexOf(0);
    return String.fromCharCode(...request.bytes.subarray(0, Math.min(end, IFNAME_BYTES)));
  }
}
