// The tunnel device as the plane knows it. It outlives attempts: with persist-tun the plane goes on holding it.

import type { DataPlane, DeviceId } from '../data/plane.ts';
import type { OpenTunnel } from '../tunnel/host-port.ts';

export interface PlaneDevice {
  /** Gives an opened device to the plane; a kept one stays what it was. */
  attach(opened: OpenTunnel): DeviceId;
  /** The plane lets go of it; afterwards the host may close the fd. */
  release(): Promise<void>;
}

/** Holds at most one device. */
export function createPlaneDevice(plane: DataPlane): PlaneDevice {
  let id: DeviceId | undefined;
  return {
    attach({ endpoint, layer, mtuBytes, blockIpv6, unreachableFrom, kept }) {
      if (kept && id !== undefined) {
        plane.setDevice(id, { mtuBytes, blockIpv6, unreachableFrom });
        return id;
      }
      id = plane.addDevice({ endpoint, layer, mtuBytes, blockIpv6, unreachableFrom });
      return id;
    },
    async release() {
      const held = id;
      id = undefined;
      if (held !== undefined) await plane.removeDevice(held);
    },
  };
}
