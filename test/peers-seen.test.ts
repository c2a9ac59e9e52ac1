import { expect, it } from 'vitest';
import { peerOf } from './lab/peers-seen.ts';

it.each([
  ['openvpn --config a', '2.6'],
  ['/usr/sbin/openvpn --version', '2.6'],
  ['ip netns exec sp-1 /cache/peers/openvpn-2.7 --daemon openvpn', '2.7'],
  ['/cache/peers/openvpn-2.6-deaf', '2.6-deaf'],
  ['node bin/sallyport.js --syslog openvpn', undefined],
  ['openssl x509', undefined],
  ['cat /etc/openvpn/server.conf', undefined],
])('%s runs the real program: %s', (line, version) => {
  expect(peerOf(line.split(' '))).toBe(version);
});
