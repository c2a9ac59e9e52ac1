// A host in memory for tests of steps: devices, addresses and routes as the kernel keeps them, a record of what was asked,
// and a way to make any call fail.

import { parseAddress } from '../../src/ip/address.ts';
import { networkOf, prefixContains } from '../../src/ip/prefix.ts';
import {
  type DevicePort,
  HostError,
  type HostRoute,
  type NetworkPort,
  type OpenDevice,
  type RouteLookup,
} from '../../src/tunnel/ports.ts';

interface FakeAddress {
  readonly device: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly remote: string | undefined;
}

export class FakeHost {
  readonly devices = new Map<string, { up: boolean; mtuBytes: number }>([
    ['eth0', { up: true, mtuBytes: 1500 }],
    ['lo', { up: true, mtuBytes: 65536 }],
  ]);
  addresses: FakeAddress[] = [
    { device: 'eth0', address: '192.0.2.2', prefixLength: 24, remote: undefined },
    { device: 'eth0', address: '2001:db8:1::2', prefixLength: 64, remote: undefined },
  ];
  routes: HostRoute[] = [
    { prefix: '0.0.0.0/0', gateway: '192.0.2.1', device: 'eth0', metric: 100, table: undefined, exact: '0a' },
    { prefix: '::/0', gateway: '2001:db8:1::1', device: 'eth0', metric: 1024, table: undefined },
  ];
  /** Numbers of devices; 7 for those that are not named. */
  readonly indexes = new Map([
    ['lo', 1],
    ['eth0', 2],
  ]);
  /** Whether another device could be opened. */
  mayOpen = true;
  readonly calls: string[] = [];
  /** Decides before each call whether it is refused, with an errno name. */
  refuse: (call: string, index: number) => string | undefined = () => undefined;

  /** Everything that a later look could tell apart. */
  state(): string {
    const sorted = <T>(items: Iterable<T>) => [...items].map((item) => JSON.stringify(item)).sort();
    return JSON.stringify([sorted(this.devices), sorted(this.addresses), sorted(this.routes)]);
  }

  /** A copy that goes its own way. */
  copy(): FakeHost {
    const other = new FakeHost();
    other.devices.clear();
    for (const [name, device] of this.devices) other.devices.set(name, { ...device });
    other.addresses = [...this.addresses];
    other.routes = [...this.routes];
    return other;
  }

  readonly device: DevicePort = {
    open: ({ name }): OpenDevice => {
      this.#call(`open ${name}`);
      const actual = name === 'tun' || name === 'tap' ? `${name}0` : name;
      this.devices.set(actual, { up: false, mtuBytes: 1500 });
      return { name: actual, index: 7, fd: 40, persistent: false };
    },
    mayOpen: () => this.mayOpen,
    close: ({ name }) => {
      this.#call(`close ${name}`);
      this.devices.delete(name);
      this.addresses = this.addresses.filter(({ device }) => device !== name);
      this.routes = this.routes.filter(({ device }) => device !== name);
    },
  };

  readonly network: NetworkPort = {
    setLinkUp: (device, up) => {
      this.#call(`up ${device}`);
      this.#device(device).up = up;
    },
    setLinkAddress: (device, address) => {
      this.#call(`lladdr ${address} ${device}`);
      this.#device(device);
    },
    setMtu: (device, mtuBytes) => {
      this.#call(`mtu ${device} ${mtuBytes}`);
      this.#device(device).mtuBytes = mtuBytes;
    },
    addAddress: (device, address, prefixLength, { remote }) => {
      this.#call(`address ${address}/${prefixLength} ${device}`);
      this.#device(device);
      const same = (other: FakeAddress) => other.device === device && other.address === address;
      if (this.addresses.some(same)) throw new HostError('EEXIST', 'File exists');
      this.addresses.push({ device, address, prefixLength, remote });
    },
    removeAddress: (device, address) => {
      this.#call(`no address ${address} ${device}`);
      const index = this.addresses.findIndex((other) => other.device === device && other.address === address);
      if (index < 0) throw new HostError('EADDRNOTAVAIL', 'Cannot assign requested address');
      this.addresses.splice(index, 1);
      // With the last IPv4 address of a device the kernel drops its IPv4 routes.
      const v4 = (text: string) => !text.includes(':');
      if (!v4(address) || this.addresses.some((other) => other.device === device && v4(other.address))) return;
      this.routes = this.routes.filter((route) => route.device !== device || !v4(route.prefix));
    },
    addRoute: (route) => {
      this.#call(`route ${route.prefix}`);
      const resolved = this.#resolve(route);
      if (this.#find(resolved) >= 0) throw new HostError('EEXIST', 'File exists');
      this.routes.push(resolved);
    },
    removeRoute: (route) => {
      this.#call(`no route ${route.prefix}`);
      const index = this.#find(this.#resolve(route));
      if (index < 0) throw new HostError('ESRCH', 'No such process');
      this.routes.splice(index, 1);
    },
    lookup: (address): RouteLookup | undefined => {
      const device = this.#deviceOnLinkWith(address) ?? 'eth0';
      const onLink = this.#deviceOnLinkWith(address) !== undefined;
      const gateway = onLink ? undefined : address.includes(':') ? '2001:db8:1::1' : '192.0.2.1';
      return {
        gateway,
        device,
        deviceIndex: this.indexes.get(device) ?? 7,
        source: undefined,
        linkAddress: '02:00:00:00:00:01',
      };
    },
    defaultRoutes: (family) => this.routes.filter(({ prefix }) => prefix === (family === 4 ? '0.0.0.0/0' : '::/0')),
    routesTo: (prefix) => this.routes.filter((route) => route.prefix === prefix),
    linkIndex: (device) => (this.devices.has(device) ? (this.indexes.get(device) ?? 7) : undefined),
    linkAddressOf: () => '02:00:00:00:00:0a',
    addresses: () => this.addresses,
    addressesOf: (device) => this.addresses.filter((address) => address.device === device),
  };

  #call(text: string): void {
    this.calls.push(text);
    const code = this.refuse(text, this.calls.length - 1);
    if (code !== undefined) throw new HostError(code, `refused (${code})`);
  }

  #device(name: string) {
    const found = this.devices.get(name);
    if (found === undefined) throw new HostError('ENODEV', 'No such device');
    return found;
  }

  /** A next hop without a device gets the one that the hop is reached through, as in the kernel. */
  #resolve(route: HostRoute): HostRoute {
    const device = route.device ?? (route.gateway === undefined ? undefined : this.#deviceOnLinkWith(route.gateway));
    if (device === undefined) throw new HostError('ENETUNREACH', 'Network is unreachable');
    this.#device(device);
    return { ...route, device };
  }

  #find(route: HostRoute): number {
    return this.routes.findIndex(
      (other) =>
        other.prefix === route.prefix &&
        other.gateway === route.gateway &&
        other.type === route.type &&
        other.device === route.device &&
        (route.metric === undefined || other.metric === route.metric),
    );
  }

  #deviceOnLinkWith(address: string): string | undefined {
    const bytes = parseAddress(address);
    if (bytes === undefined) return undefined;
    return this.addresses.find((own) => {
      if (own.remote === address) return true;
      const ownBytes = parseAddress(own.address);
      if (ownBytes === undefined) return false;
      return prefixContains({ address: networkOf(ownBytes, own.prefixLength), length: own.prefixLength }, bytes);
    })?.device;
  }
}
