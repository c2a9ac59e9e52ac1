// A client as the program around the server sees it.

import type { PeerStatistics } from '../data/plane.ts';
import { formatAddress } from '../ip/address.ts';
import { type SocketAddress, unmapSocketAddress } from '../ip/socket-address.ts';
import { parseDynamicResponse, parseStaticResponse } from '../wire/auth-challenge.ts';
import type { ClientFacts } from './client-facts.ts';
import type { ClientEndpoint, ClientIdentity, ClientInfo } from './hooks.ts';
import type { Authenticate, Instance } from './instance.ts';

/** Somebody who wants in. */
export function clientIdentity({ facts, address }: Instance, event: Authenticate): ClientIdentity {
  const leaf = event.established.chain[0];
  const password = event.password;
  const fixed = password === undefined ? undefined : parseStaticResponse(password);
  return {
    id: facts.id,
    commonName: leaf?.commonName,
    certificate: leaf,
    username: facts.username,
    password: fixed?.password ?? password,
    response: fixed?.response,
    challenge: password === undefined ? undefined : parseDynamicResponse(password),
    endpoint: endpointOf(facts, address),
    peerInfo: event.peerInfo,
    renegotiation: !event.first,
  };
}

/** A client that is in. */
export function clientInfo(instance: Instance, statistics: PeerStatistics | undefined): ClientInfo {
  const { facts } = instance;
  return {
    id: facts.id,
    name: facts.name,
    username: facts.username,
    endpoint: endpointOf(facts, instance.address),
    address4: facts.addresses.v4?.local,
    address6: facts.addresses.v6?.local,
    routes: facts.routes,
    platform: facts.peerInfo.get('IV_PLAT'),
    version: facts.peerInfo.get('IV_VER'),
    cipher: instance.cipher,
    bytesReceived: statistics?.linkReadBytes ?? 0,
    bytesSent: statistics?.linkWriteBytes ?? 0,
    connectedSince: facts.connectedUnixSeconds,
  };
}

function endpointOf(facts: ClientFacts, address: SocketAddress): ClientEndpoint {
  const plain = unmapSocketAddress(address);
  return {
    address: formatAddress(plain.address),
    port: plain.port,
    family: plain.family,
    transport: facts.transport,
  };
}
