// A data plane that moves no packets: it keeps what it was given, refuses what is not there, and says what is left.
// Control packets and in-band messages go to whoever `connectTo` names, and come back on a later turn of the clock.

import type {
  DataPlane,
  DeviceChange,
  DeviceId,
  DeviceOptions,
  KeyHandle,
  KeyOptions,
  LinkId,
  LinkOptions,
  MemoryDeviceEnd,
  PeerHandle,
  PeerOptions,
  PeerSettings,
  PeerStatistics,
  PlaneCapabilities,
  PlaneEvent,
  PlaneListener,
  PlaneStatistics,
} from '../../src/data/plane.ts';
import type { SocketAddress } from '../../src/ip/socket-address.ts';

/** What the plane's links lead to. */
export interface FarSide {
  linkAdded(link: LinkId, options: LinkOptions): void;
  /** `to`: whom the packet names, on a link that serves many or goes through a relay. */
  control(link: LinkId, bytes: Uint8Array, to?: SocketAddress | undefined): void;
  inBand(link: LinkId, bytes: Uint8Array): void;
}

export interface FakePeer {
  options: PeerOptions;
  readonly keys: Map<KeyHandle, number>;
  sending: KeyHandle | undefined;
}

const NO_TRAFFIC: PeerStatistics = {
  deviceReadBytes: 0,
  deviceWriteBytes: 0,
  deviceReadPackets: 0,
  deviceWritePackets: 0,
  linkReadBytes: 0,
  linkWriteBytes: 0,
  linkReadPackets: 0,
  linkWritePackets: 0,
  lastReceivedMs: 0,
  lastSentMs: 0,
  lastPayloadMs: 0,
  linkReadLargest: 0,
  linkWriteLargest: 0,
};

export class FakePlane implements DataPlane {
  readonly capabilities: PlaneCapabilities = {
    ciphers: ['AES-256-GCM', 'AES-128-GCM', 'CHACHA20-POLY1305', 'AES-256-CBC'],
    digests: ['SHA1', 'SHA256'],
    dataV1: true,
    epoch: true,
    framings: ['udp', 'tcp', 'socks-udp'],
    fragment: true,
    compression: ['none', 'comp-lzo', 'stub', 'stub-v2'],
    inBand: true,
    keyLimits: true,
    float: 'request',
  };
  /** Every call that changes something, in order. */
  readonly calls: string[] = [];
  readonly devices = new Map<DeviceId, DeviceOptions>();
  readonly links = new Map<LinkId, LinkOptions>();
  readonly peers = new Map<PeerHandle, FakePeer>();
  closed = 0;
  /** What `peerStatistics` says beside zeros. */
  traffic: Partial<PeerStatistics> = {};
  /** Of the newest key. */
  limitBlocks: number | undefined;
  /** Most keys that a peer had at once. */
  mostKeys = 0;
  #far: FarSide | undefined;
  readonly #listener: PlaneListener;
  #lastId = 0;

  constructor(listener: PlaneListener) {
    this.#listener = listener;
  }

  connectTo(far: FarSide): void {
    this.#far = far;
  }

  /** Reports to the client; a closed plane says nothing any more. */
  report(event: PlaneEvent): void {
    if (this.closed === 0) this.#listener(event);
  }

  addDevice(options: DeviceOptions): DeviceId {
    const id = this.#open('device');
    this.devices.set(id, options);
    return id;
  }

  setDevice(device: DeviceId, change: DeviceChange): void {
    this.calls.push('set device');
    this.devices.set(device, { ...live(this.devices, device, 'device'), ...change });
  }

  async removeDevice(device: DeviceId): Promise<void> {
    this.calls.push('remove device');
    live(this.devices, device, 'device');
    this.devices.delete(device);
  }

  deviceEnd(): MemoryDeviceEnd {
    throw new Error('devices of the fake plane lead nowhere');
  }

  addListener(): LinkId {
    return this.#open('listener');
  }

  addLink(options: LinkOptions): LinkId {
    const id = this.#open('link');
    this.links.set(id, options);
    this.#far?.linkAdded(id, options);
    return id;
  }

  async removeLink(link: LinkId): Promise<void> {
    this.calls.push('remove link');
    live(this.links, link, 'link');
    this.links.delete(link);
  }

  sendControl(link: LinkId, address: SocketAddress | undefined, bytes: Uint8Array): void {
    live(this.links, link, 'link');
    this.#far?.control(link, bytes.slice(), address);
  }

  addPeer(options: PeerOptions): PeerHandle {
    live(this.devices, options.device, 'device');
    live(this.links, options.link, 'link');
    const id = this.#open('peer');
    this.peers.set(id, { options, keys: new Map(), sending: undefined });
    return id;
  }

  setPeer(peer: PeerHandle, change: Partial<PeerSettings>): void {
    const found = live(this.peers, peer, 'peer');
    found.options = { ...found.options, ...change };
  }

  removePeer(peer: PeerHandle): void {
    this.calls.push('remove peer');
    live(this.peers, peer, 'peer');
    this.peers.delete(peer);
  }

  addKey(peer: PeerHandle, { keyId, material, format, limitBlocks }: KeyOptions): KeyHandle {
    const { keys } = live(this.peers, peer, 'peer');
    if (keys.size >= 4) throw new RangeError('four keys already');
    if (material.seal.cipher.every((byte) => byte === 0)) throw new RangeError('an empty key');
    this.#lastId++;
    keys.set(this.#lastId, keyId);
    this.mostKeys = Math.max(this.mostKeys, keys.size);
    this.calls.push(`add${format === undefined ? '' : ` ${format}`} key ${keyId}`);
    this.limitBlocks = limitBlocks;
    return this.#lastId;
  }

  useKey(peer: PeerHandle, key: KeyHandle): void {
    const found = live(this.peers, peer, 'peer');
    this.calls.push(`use key ${live(found.keys, key, 'key')}`);
    found.sending = key;
  }

  removeKey(peer: PeerHandle, key: KeyHandle): void {
    const { keys } = live(this.peers, peer, 'peer');
    this.calls.push(`remove key ${live(keys, key, 'key')}`);
    keys.delete(key);
  }

  sendInBand(peer: PeerHandle, bytes: Uint8Array): void {
    const { options } = live(this.peers, peer, 'peer');
    this.calls.push('send in band');
    this.#far?.inBand(options.link, bytes.slice());
  }

  answerAddress(): void {
    throw new Error('a client learns no addresses');
  }

  forgetIdleAddresses(): void {
    throw new Error('a client learns no addresses');
  }

  answerFloat(peer: PeerHandle, address: SocketAddress, accept: boolean): void {
    live(this.peers, peer, 'peer');
    this.calls.push(`answer float ${address.address.join('.')} ${accept}`);
  }

  peerStatistics(peer: PeerHandle): PeerStatistics {
    live(this.peers, peer, 'peer');
    return { ...NO_TRAFFIC, ...this.traffic };
  }

  statistics(): PlaneStatistics {
    return {
      drops: {} as PlaneStatistics['drops'],
      linkReadBytes: 0,
      linkWriteBytes: 0,
      linkReadPackets: 0,
      linkWritePackets: 0,
      deviceReadBytes: 0,
      deviceWriteBytes: 0,
      deviceReadPackets: 0,
      deviceWritePackets: 0,
      linkReadCalls: 0,
      linkWriteCalls: 0,
      deviceReadCalls: 0,
      deviceWriteCalls: 0,
      cryptoMs: 0,
      checksumMs: 0,
      systemMs: 0,
    };
  }

  async close(): Promise<void> {
    this.closed++;
  }

  #open(what: string): number {
    if (this.closed > 0) throw new Error(`a ${what} for a closed plane`);
    this.calls.push(`add ${what}`);
    this.#lastId++;
    return this.#lastId;
  }
}

function live<T>(map: ReadonlyMap<number, T>, id: number, what: string): T {
  const found = map.get(id);
  if (found === undefined) throw new RangeError(`the plane has no ${what} ${id}`);
  return found;
}
