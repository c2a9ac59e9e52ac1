import { describe, expect, it } from 'vitest';
import { Connection, type ConnectionEvent } from '../src/connection.ts';
import { ClientLab } from './lab/client-lab.ts';

const REMOTE = 'remote 198.51.100.1 1194';

/** A connection over a client in the lab. */
function connect(...lines: readonly string[]) {
  return connectWith({}, ...lines);
}

function connectWith(options: { statisticsMs?: number }, ...lines: readonly string[]) {
  const lab = new ClientLab(...lines);
  const connection = new Connection((observer) => {
    lab.observer = observer;
    return { client: lab.client, run: () => lab.run() };
  }, options);
  return { lab, connection };
}

describe('a connection', () => {
  it('tells its statistics as often as it is asked to, while it is up', async () => {
    const { lab, connection } = connectWith({ statisticsMs: 5 }, REMOTE);
    const counted = new Promise<number>((resolve) => {
      connection.on('statistics', ({ statistics }) => resolve(statistics.plane.linkReadBytes));
    });
    await lab.until(() => lab.isUp, 'up');
    expect(await counted).toBeGreaterThanOrEqual(0);
    await connection.close();
  });

  it('tells its events in order, the end as the last one', async () => {
    const { lab, connection } = connect(REMOTE);
    const told: string[] = [];
    const all = (async () => {
      for await (const event of connection.events()) {
        told.push(event.type === 'state' ? event.state.phase : event.type);
      }
    })();
    await lab.until(() => lab.isUp, 'up');
    lab.server.last.say('INFO_PRE,hello');
    await lab.runFor(1000);
    await connection.close();
    await all;
    expect(told.slice(told.indexOf('connecting'))).toEqual([
      'connecting',
      'authenticating',
      'peer',
      'configuring',
      'connected',
      'connected',
      'message',
      'ended',
      'end',
    ]);
  });

  it('tells a changed tunnel apart from one that came up', async () => {
    const { lab, connection } = connect(REMOTE);
    const told: string[] = [];
    connection.on('connected', ({ plan }) => told.push(`connected ${plan.mtuBytes}`));
    connection.on('updated', ({ plan }) => told.push(`updated ${plan.mtuBytes}`));
    await lab.until(() => lab.isUp, 'up');
    lab.server.last.say('PUSH_UPDATE,tun-mtu 1400');
    await lab.until(() => told.length > 1, 'updated');
    expect(told).toEqual(['connected 1500', 'updated 1400']);
    await connection.close();
  });

  it('says at once to those who wait for it that it is up or has ended', async () => {
    const { lab, connection } = connect(REMOTE);
    await lab.until(() => lab.isUp, 'up');
    await connection.untilConnected();
    await connection.close();
    await expect(connection.untilConnected()).rejects.toMatchObject({ code: 'SALLYPORT_PEER_ENDED' });
    const events: ConnectionEvent[] = [];
    for await (const event of connection.events()) events.push(event);
    expect(events).toEqual([]);
  });

  it('hears a signal that was aborted before', async () => {
    const { connection } = connect(REMOTE);
    const reason = new Error('too late');
    await expect(connection.untilConnected(AbortSignal.abort(reason))).rejects.toBe(reason);
    await connection.close();
  });

  it('stops telling events when the signal aborts', async () => {
    const { lab, connection } = connect(REMOTE);
    const aborter = new AbortController();
    const all = (async () => {
      for await (const _ of connection.events({ signal: aborter.signal }));
    })();
    await lab.until(() => lab.isUp, 'up');
    aborter.abort();
    await all;
    await connection.close();
  });

  it('goes on when a listener throws, and lets the program hear of it', async () => {
    const { lab, connection } = connect(REMOTE);
    const thrown: unknown[] = [];
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => thrown.push(error));
    try {
      const stop = connection.on('state', ({ state }) => {
        throw new Error(state.phase);
      });
      await lab.until(() => lab.isUp, 'up');
      stop();
      await connection.close();
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of before) process.on('uncaughtException', listener);
    }
    expect(thrown.map((error) => (error as Error).message)).toEqual([
      'resolving',
      'connecting',
      'authenticating',
      'configuring',
      'connected',
    ]);
    expect(lab.leftovers()).toEqual({});
  });

  it('connects again when told to, and is closed by await using', async () => {
    const { lab, connection } = connect(REMOTE);
    {
      await using held = connection;
      await lab.until(() => lab.isUp, 'up');
      held.reconnect();
      await lab.until(() => lab.ups === 2, 'up again');
      expect(held.statistics().peer).toBeDefined();
    }
    expect(await connection.ended).toEqual({ reason: 'SIGTERM', error: undefined });
    expect(lab.leftovers()).toEqual({});
  });
});
