// Clients under management, and the same story told with each of them.

import type { Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import type { ClientOptions, Lab } from './lab.ts';
import { comparable, Talk, useTalks } from './management-talk.ts';
import type { WatchedProcess } from './process.ts';
import { type ClientKind, clientUnderTest, isOurs } from './requirements.ts';

/** The real program first. */
const programs: readonly ClientKind[] = isOurs ? ['openvpn-2.7', 'sallyport'] : [clientUnderTest];

export interface ManagedClients {
  /** Closed after each test. */
  readonly talks: Talk[];
  readonly listening: Server[];
  /** A new place for a socket. */
  path(): string;
  attach(at: string): Promise<Talk>;
  /** A client with a management socket, and somebody who talks with it. */
  start(
    kind: ClientKind,
    lines: readonly string[],
    more?: ClientOptions,
  ): Promise<{ readonly client: WatchedProcess; readonly at: string; readonly talk: Talk }>;
  /** The story that `tell` tells of each program; all have to be one. */
  same(tell: (kind: ClientKind) => Promise<readonly string[]>): Promise<void>;
}

export function useManagedClients(lab: () => Lab): ManagedClients {
  const talks = useTalks();
  const listening: Server[] = [];
  let sockets = 0;
  afterEach(() => {
    for (const server of listening.splice(0)) server.close();
  });
  const path = (): string => join(lab().dir, `m-${sockets++}.sock`);

  async function attach(at: string): Promise<Talk> {
    const talk = await Talk.open(at);
    talks.push(talk);
    return talk;
  }

  return {
    talks,
    listening,
    path,
    attach,
    async start(kind, lines, more = {}) {
      const at = path();
      const client = await lab().client({
        kind,
        ...more,
        lines: [
          `management ${at} unix`,
          'connect-retry 1 1',
          ...(kind === 'sallyport' ? [] : ['disable-dco']),
          ...lines,
        ],
      });
      return { client, at, talk: await attach(at) };
    },
    async same(tell) {
      const stories: string[] = [];
      for (const kind of programs) {
        stories.push(comparable((await tell(kind)).join('\n')));
        await lab().endTest();
      }
      expect(stories.at(-1)).toBe(stories[0]);
    },
  };
}
