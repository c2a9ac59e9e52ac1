// `up` after the start: what happens is shown and questions are answered until the tunnel is up or not to be had.

import { cleanTerminalText, createTerminal } from '../../src/command.ts';
import { ask, jsonLines, open } from './control-client.ts';
import type { EndReport } from './control-server.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { CommandIo } from './io.ts';
import { progressOf } from './progress.ts';
import { startFailure } from './start-failure.ts';
import { dnsLine, type TunnelStatus } from './status-model.ts';
import { endTunnel } from './tunnel-end.ts';

export interface FollowOptions {
  readonly waitSeconds: number;
  readonly json: boolean;
}

export interface Expectations {
  /** Name servers of the tunnel are to be set on this machine. */
  readonly setsDns: boolean;
}

/** Shows what happens until the tunnel is up or not to be had. */
export async function follow(name: string, options: FollowOptions & Expectations, io: CommandIo): Promise<number> {
  const progress = progressOf(options.json, io);
  let last: TunnelStatus | undefined;
  // Of the last attempt that failed: the one that is on has none yet.
  let reason: string | null = null;
  let end: EndReport | undefined;
  let told: string | null = null;
  let timeUp = false;
  const response = await open(io.places, name, 'GET', '/events').catch(() => undefined);
  const interrupted = new AbortController();
  const stop = (): void => {
    timeUp = true;
    interrupted.abort();
    response?.destroy();
  };
  let given = false;
  const giveUp = (): void => {
    given = true;
    stop();
  };
  process.once('SIGINT', giveUp);
  process.once('SIGTERM', giveUp);
  const timer = setTimeout(stop, options.waitSeconds * 1000);
  let asking: Promise<void> = Promise.resolve();
  try {
    for await (const event of response === undefined ? [] : jsonLines(response)) {
      if (event.type === 'ended') end = event as unknown as EndReport;
      else if (event.type === 'tell') progress.tell(String(event.text));
      else if (event.type === 'question') {
        // Why it is asked again, once.
        if (reason !== null && reason !== told) progress.tell(reason);
        told = reason;
        progress.clear();
        asking = answer(name, event, io, interrupted.signal).catch(() => giveUp());
      } else if (event.type === 'status') {
        last = event.status as TunnelStatus;
        reason = last.reason ?? reason;
        progress.show(last);
        if (last.state !== 'connected') continue;
        sayOfDns(last, options, io);
        return ExitCode.ok;
      }
    }
  } catch (error) {
    if (!timeUp) throw error;
  } finally {
    clearTimeout(timer);
    interrupted.abort();
    progress.clear();
    response?.destroy();
    await asking;
    process.removeListener('SIGINT', giveUp);
    process.removeListener('SIGTERM', giveUp);
  }
  if (!timeUp) throw endFailure(name, end, io);
  await endTunnel(name, io);
  throw given
    ? new CommandFailure(ExitCode.unknown, `${name}: connecting was given up, and ended`)
    : timeFailure(name, options.waitSeconds, reason, last);
}

/** `reason`: why the last attempt failed; null where none did. */
function timeFailure(
  name: string,
  waitSeconds: number,
  reason: string | null,
  last: TunnelStatus | undefined,
): CommandFailure {
  const why = reason === null ? '' : `: ${cleanTerminalText(reason)}`;
  const tried = last?.server ? `The last server tried was ${cleanTerminalText(last.server)}. ` : '';
  return new CommandFailure(
    ExitCode.timeout,
    `${name} was not up within ${waitSeconds} s${why}; it was ended`,
    `${tried}sallyport log ${name} has more; --wait SECONDS waits longer.`,
  );
}

/** The process in the background has ended by itself. `end`: its last word; undefined where it said none. */
function endFailure(name: string, end: EndReport | undefined, io: CommandIo): CommandFailure {
  if (end === undefined) {
    return new CommandFailure(
      ExitCode.activation,
      `${name} ended without a word`,
      `sallyport log ${name} has what it wrote.`,
    );
  }
  if (end.message) {
    return new CommandFailure(
      ExitCode.activation,
      `${name} could not connect: ${cleanTerminalText(end.message)}`,
      cleaned(end.hint),
    );
  }
  if (end.exitCode !== 0) return startFailure(name, io, undefined);
  return new CommandFailure(
    ExitCode.activation,
    `${name} was ended before it was up`,
    'Somebody asked for that: sallyport down, or a signal.',
  );
}

/** A tunnel without its name servers looks as if it worked until a name is looked up: a warning where they were to be set. */
function sayOfDns(status: TunnelStatus, { setsDns, json }: FollowOptions & Expectations, io: CommandIo): void {
  const line = dnsLine(status);
  if (line === undefined) return;
  if (setsDns) {
    io.complain(`WARNING: its name servers are not set on this machine; sallyport log ${status.name} says why.\n`);
  } else if (!json) io.write(`${cleanTerminalText(line)}\n`);
}

const cleaned = (text: string | null): string | undefined => (text === null ? undefined : cleanTerminalText(text));

async function answer(name: string, event: Record<string, unknown>, io: CommandIo, signal: AbortSignal): Promise<void> {
  const question = { prompt: String(event.text), echo: event.echo === true, suffix: String(event.suffix ?? ':') };
  const text = await createTerminal().ask(question, signal);
  await ask(io.places, name, 'POST', '/answer', { id: event.id, text });
}
