// Which real OpenVPN took part in a case, for the counts in the README: scripts/tested.ts reads them from the report.

import { afterEach, beforeEach } from 'vitest';
import { peersSeen } from './process.ts';

beforeEach(() => peersSeen.begin());

afterEach(({ task }) => {
  const meta = task.meta as { peers?: readonly string[] };
  meta.peers = [...new Set([...(meta.peers ?? []), ...peersSeen.since()])].sort();
});
