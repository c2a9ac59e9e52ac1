import { describe, expect, it } from 'vitest';
import { type StatusFacts, statusLines } from '../../src/server/status-text.ts';

const timeText = (unixSeconds: number): string => `T${unixSeconds}`;

const facts: StatusFacts = {
  title: 'OpenVPN 2.7.8 test',
  nowUnixSeconds: 1795900723,
  clients: [
    {
      name: 'rsa',
      username: undefined,
      realAddress: 'udp4:192.0.2.2:53983',
      address4: '10.8.0.3',
      address6: 'fd00:8::1001',
      receivedBytes: 3918,
      sentBytes: 3404,
      connectedUnixSeconds: 1795900721,
      clientId: 1,
      peerId: 1,
      cipher: 'AES-256-GCM',
    },
    {
      name: '',
      username: 'max',
      realAddress: 'tcp6-server:[fd00::2]:1194',
      address4: undefined,
      address6: undefined,
      receivedBytes: 0,
      sentBytes: 0,
      connectedUnixSeconds: 1795900720,
      clientId: 0,
      peerId: 0,
      cipher: 'BF-CBC',
    },
  ],
  routes: [
    {
      address: '192.168.44.0/24',
      name: 'rsa',
      realAddress: 'udp4:192.0.2.2:53983',
      lastReferenceUnixSeconds: 1795900722,
    },
  ],
  longestBroadcastQueue: 1,
  offload: false,
};

// Layouts of OpenVPN 2.7.8.
describe('the status', () => {
  it('of version 1 has headings', () => {
    expect(statusLines(facts, 1, timeText)).toEqual([
      'OpenVPN CLIENT LIST',
      'Updated,T1795900723',
      'Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since',
      'rsa,udp4:192.0.2.2:53983,3918,3404,T1795900721',
      'UNDEF,tcp6-server:[fd00::2]:1194,0,0,T1795900720',
      'ROUTING TABLE',
      'Virtual Address,Common Name,Real Address,Last Ref',
      '192.168.44.0/24,rsa,udp4:192.0.2.2:53983,T1795900722',
      'GLOBAL STATS',
      'Max bcast/mcast queue length,1',
      'END',
    ]);
  });

  const version2 = [
    'TITLE,OpenVPN 2.7.8 test',
    'TIME,T1795900723,1795900723',
    'HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Virtual IPv6 Address,Bytes Received,Bytes Sent,Connected Since,Connected Since (time_t),Username,Client ID,Peer ID,Data Channel Cipher',
    'CLIENT_LIST,rsa,udp4:192.0.2.2:53983,10.8.0.3,fd00:8::1001,3918,3404,T1795900721,1795900721,UNDEF,1,1,AES-256-GCM',
    'CLIENT_LIST,UNDEF,tcp6-server:[fd00::2]:1194,,,0,0,T1795900720,1795900720,max,0,0,BF-CBC',
    'HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)',
    'ROUTING_TABLE,192.168.44.0/24,rsa,udp4:192.0.2.2:53983,T1795900722,1795900722',
    'GLOBAL_STATS,Max bcast/mcast queue length,1',
    'GLOBAL_STATS,dco_enabled,0',
    'END',
  ];
  it('of version 2 has a word in front of each line', () => {
    expect(statusLines(facts, 2, timeText)).toEqual(version2);
    expect(statusLines({ ...facts, offload: true }, 2, timeText)).toContain('GLOBAL_STATS,dco_enabled,1');
  });

  it('of version 3 has tabs', () => {
    expect(statusLines(facts, 3, timeText)).toEqual(version2.map((line) => line.replaceAll(',', '\t')));
  });

  it.each([1, 2, 3] as const)('of version %i has no line of a peer’s making', (version) => {
    const [first] = facts.clients;
    if (first === undefined) throw new Error('no client');
    const clients = [{ ...first, name: 'a\nEND\tb', username: 'c\r\nEND' }];
    const lines = statusLines({ ...facts, clients }, version, timeText);
    expect(lines.join('\n').split('\n')).toHaveLength(lines.length);
    expect(lines.filter((line) => line === 'END')).toHaveLength(1);
    expect(lines.join('\n')).toContain('a_END_b');
  });
});
