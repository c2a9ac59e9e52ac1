import { describe, expect, it } from 'vitest';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { logDrop } from '../../src/peer/drop-words.ts';

describe('what the log says of dropped packets', () => {
  const said = (notice: Omit<Parameters<typeof logDrop>[0], 'type' | 'packetId' | 'peer'>) => {
    const lines: string[] = [];
    logDrop({ type: 'drop-notice', peer: 1, packetId: undefined, ...notice }, (_flags, text) => lines.push(text), {
      peerPrefix: '',
      muteReplayWarnings: false,
    });
    return lines;
  };
  const address = socketAddress(Uint8Array.of(192, 0, 2, 1), 1194);
  const innerSource = Uint8Array.of(10, 8, 0, 2);

  it('of a packet to the server itself: where from and where to', () => {
    expect(said({ cause: 'recursive', count: 3, address, innerSource })).toEqual([
      'Recursive routing detected, packet dropped 10.8.0.2 -> [AF_INET]192.0.2.1:1194 (3 times)',
    ]);
  });

  it('of a packet from an address that is not its sender’s: which', () => {
    expect(said({ cause: 'bad-source', count: 1, address, innerSource })).toEqual([
      'MULTI: bad source address from client [10.8.0.2], packet dropped',
    ]);
    expect(said({ cause: 'bad-source', count: 1, address })).toEqual([
      'MULTI: bad source address from client [undef], packet dropped',
    ]);
  });

  it('names the local end of an address where it is known', () => {
    const local = { address: Uint8Array.of(10, 0, 0, 1), interfaceIndex: 0 };
    expect(said({ cause: 'recursive', count: 1, address: { ...address, local }, innerSource })).toEqual([
      'Recursive routing detected, packet dropped 10.8.0.2 -> [AF_INET]192.0.2.1:1194 (via [AF_INET]10.0.0.1%)',
    ]);
  });
});
