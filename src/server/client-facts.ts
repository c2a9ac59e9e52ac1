// What is known of one client. It grows on the way in: address, certificate, what it said of itself, who it is, what it
// was given.

import type { PeerCertificate } from '../control/tls-engine.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { Log } from '../log.ts';
import type { ClientAddresses } from './client-addresses.ts';

export interface ClientFacts {
  readonly id: number;
  readonly transport: 'udp' | 'tcp';
  /** Writes with the client's name and address in front. */
  readonly log: Log;
  /** Where its first packet came from … */
  readonly untrusted: SocketAddress;
  /** … and where it is, once it has authenticated; follows a float. */
  trusted: SocketAddress | undefined;
  /** Leaf first; empty without a certificate. */
  chain: readonly PeerCertificate[];
  /** Of the certificate. */
  commonName: string | undefined;
  username: string | undefined;
  peerInfo: ReadonlyMap<string, string>;
  /** The same as it came. */
  peerInfoText: string;
  /** The options string of its key method 2. */
  optionsString: string;
  /** What it is known by once it was let in: common name or user name. */
  name: string | undefined;
  addresses: ClientAddresses;
  /** Networks behind it. */
  routes: readonly string[];
  /** When it was let in; 0 before. */
  connectedUnixSeconds: number;
}

/** A client of which only the address is known. */
export function newClientFacts(id: number, transport: 'udp' | 'tcp', untrusted: SocketAddress, log: Log): ClientFacts {
  return {
    id,
    transport,
    log,
    untrusted,
    trusted: undefined,
    chain: [],
    commonName: undefined,
    username: undefined,
    peerInfo: new Map(),
    peerInfoText: '',
    optionsString: '',
    name: undefined,
    addresses: { v4: undefined, v6: undefined },
    routes: [],
    connectedUnixSeconds: 0,
  };
}
