// What one attempt works with: the ports of the client, and what outlives attempts.

import type { CryptoProvider } from '../crypto/provider.ts';
import type { DataPlane } from '../data/plane.ts';
import type { Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';
import type { ConnectionScripts, TunnelHost } from '../tunnel/host-port.ts';
import type { CredentialStore } from './credentials.ts';
import type { PlaneDevice } from './plane-device.ts';
import type { ChallengePort, ClientMaterial } from './ports.ts';
import type { AttemptObserver } from './state.ts';

export interface AttemptPorts {
  readonly clock: ClockPort;
  readonly plane: DataPlane;
  readonly crypto: CryptoProvider;
  readonly host: TunnelHost;
  readonly scripts: ConnectionScripts;
  readonly material: ClientMaterial;
  readonly credentials: CredentialStore;
  readonly challenges: ChallengePort | undefined;
  readonly device: PlaneDevice;
  readonly log: Log;
  readonly observer: AttemptObserver;
}
