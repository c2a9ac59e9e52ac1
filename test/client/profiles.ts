// Connection profiles for tests: the defaults of a profile with nothing but a remote.

import type { ConnectionProfile } from '../../src/config/config.ts';

/** A UDP profile on port 1194; `change` says what differs. */
export function profile(remote: string, change: Partial<ConnectionProfile> = {}): ConnectionProfile {
  return {
    remote,
    remotePort: '1194',
    localHost: undefined,
    localPort: '1194',
    proto: { transport: 'udp', family: undefined },
    bindLocal: false,
    bindIpv6Only: false,
    float: false,
    connectRetrySeconds: 1,
    connectRetryMaxSeconds: 300,
    connectTimeoutSeconds: 120,
    explicitExitNotify: 0,
    tunMtuBytes: 1500,
    occMtuBytes: undefined,
    tunMtuMaxBytes: 1600,
    tunMtuExtraBytes: 0,
    linkMtuBytes: undefined,
    maxControlPacketBytes: 1250,
    fragment: undefined,
    mssFix: undefined,
    mtuDiscovery: undefined,
    wrap: undefined,
    httpProxy: undefined,
    socksProxy: undefined,
    origin: { file: 'test.ovpn', line: 1 },
    ...change,
  };
}
