// Which script runs at which occasion, whether it may, and what follows from its failure.

import type { Config, ScriptOptions } from '../config/config.ts';
import { SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import type { ScriptEnvironment } from './environment.ts';
import type { ScriptPort } from './ports.ts';

/** Everything of the profile that may start a program on the client. */
export type ScriptOccasion =
  | 'up'
  | 'down'
  | 'route-up'
  | 'route-pre-down'
  | 'ipchange'
  | 'tls-verify'
  | 'tls-crypt-v2-verify';

export interface ScriptInvocation {
  readonly occasion: ScriptOccasion;
  /** The profile's own words, then what the occasion appends. */
  readonly argv: readonly string[];
  /** A failure ends the program. */
  readonly fatal: boolean;
  /** Says the command line in the log before it runs. */
  readonly announced: boolean;
}

/** The invocation for an occasion; undefined when the profile names no script for it. */
export function scriptFor(
  occasion: ScriptOccasion,
  scripts: ScriptOptions,
  appended: readonly string[],
): ScriptInvocation | undefined {
  const command = commandOf(occasion, scripts);
  if (command === undefined || command.length === 0) return undefined;
  const tunnel = occasion === 'up' || occasion === 'down' || occasion === 'route-pre-down';
  return { occasion, argv: [...command, ...appended], fatal: tunnel, announced: tunnel };
}

/** Whether `up` and `down` run when a restart keeps the device (`persist-tun`): only under `up-restart`. */
export function runsOnRestart(occasion: 'up' | 'down', scripts: ScriptOptions): boolean {
  return scripts.upRestart && commandOf(occasion, scripts) !== undefined;
}

export type ScriptVerdict = 'succeeded' | 'failed' | 'not-allowed';

/** Runs scripts under `script-security`, with one warning for a whole process where it forbids them. */
export class ScriptRunner {
  readonly #security: number;
  readonly #port: ScriptPort;
  readonly #log: Log;
  #warned = false;

  constructor(security: ScriptOptions['security'], port: ScriptPort, log: Log) {
    this.#security = security;
    this.#port = port;
    this.#log = log;
  }

  /** Rejects with SallyportError (SALLYPORT_SCRIPT) when a script whose failure is fatal fails. */
  async run(invocation: ScriptInvocation, environment: ScriptEnvironment): Promise<ScriptVerdict> {
    const { argv, occasion } = invocation;
    if (invocation.announced) this.#log(Level.info, argv.join(' '));
    if (this.#security < 2) {
      this.#warn();
      return this.#refuse(invocation, 'not-allowed', 'disallowed by script-security setting');
    }
    const result = await this.#port.run(argv, environment, { timeoutMs: undefined });
    if (result.error === undefined && result.exitCode === 0) return 'succeeded';
    const reason = scriptFailure(result);
    // A certificate that tls-verify turns down is said by the verification itself.
    if (occasion === 'tls-verify') return 'failed';
    return this.#refuse(invocation, 'failed', reason);
  }

  /** Its exit status; -1 where it did not run or did not end by itself. A failure is told and no more. */
  async runDnsUpdown(argv: readonly string[], run: () => ReturnType<ScriptPort['run']>): Promise<number> {
    this.#log(Level.info, argv.join(' '));
    if (this.#security < 2) {
      this.#warn();
      return -1;
    }
    const result = await run();
    // What can't be started is status 127, as with a shell.
    if (result.error !== undefined && result.stopped !== true) return 127;
    return result.exitCode ?? -1;
  }

  #refuse({ occasion, fatal }: ScriptInvocation, verdict: ScriptVerdict, reason: string): ScriptVerdict {
    const message = `WARNING: Failed running command (${nameInLog(occasion)}): ${reason}`;
    if (fatal) {
      throw new SallyportError(message, {
        code: 'SALLYPORT_SCRIPT',
        blame: 'config',
        hint:
          verdict === 'not-allowed'
            ? `Allow the ${occasion} script with "script-security 2", or remove it from the profile.`
            : `Run the ${occasion} script by hand to see why it fails.`,
      });
    }
    this.#log(Level.warning, message);
    return verdict;
  }

  #warn(): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#log(Level.warning, SCRIPTS_NOT_ALLOWED);
  }
}

/** Why a program counts as failed, in the C program's words; that has none for a program that it stops. */
export function scriptFailure({ error, exitCode, stopped }: Awaited<ReturnType<ScriptPort['run']>>): string {
  if (stopped === true && error !== undefined) return `external program ${error}`;
  if (error !== undefined || exitCode === 127) return 'could not execute external program';
  return exitCode === undefined
    ? 'external program did not exit normally'
    : `external program exited with error status: ${exitCode}`;
}

/** What a certificate fails with that can't be put where scripts read it; its level is `Level.tlsErrors`. */
export const exportFailed = (directory: string): string =>
  `TLS Error: Failed to export certificate for --tls-export-cert in ${directory}`;

/** Said once where `script-security` forbids programs. */
export const SCRIPTS_NOT_ALLOWED =
  "WARNING: External program may not be called unless '--script-security 2' or higher is enabled. See --help text or man page for detailed info.";

/** What the C program says of scripts before anything else happens; undefined when the profile names none. */
export function scriptSecurityNote(config: Config): string | undefined {
  const { scripts } = config;
  const named = [scripts.up, scripts.down, scripts.routeUp, scripts.routePreDown, scripts.ipChange, scripts.tlsVerify];
  const custom = Array.isArray(scripts.dnsUpdown);
  if (!custom && named.every((command) => command === undefined)) return undefined;
  return scripts.security >= 2
    ? 'NOTE: the current --script-security setting may allow this configuration to call user-defined scripts'
    : "NOTE: starting with OpenVPN 2.1, '--script-security 2' or higher is required to call user-defined scripts or executables";
}

function commandOf(occasion: ScriptOccasion, scripts: ScriptOptions): readonly string[] | undefined {
  switch (occasion) {
    case 'up':
      return scripts.up;
    case 'down':
      return scripts.down;
    case 'route-up':
      return scripts.routeUp;
    case 'route-pre-down':
      return scripts.routePreDown;
    case 'ipchange':
      return scripts.ipChange;
    case 'tls-verify':
      return scripts.tlsVerify;
    case 'tls-crypt-v2-verify':
      return scripts.tlsCryptV2Verify;
    default:
      return occasion satisfies never;
  }
}

function nameInLog(occasion: ScriptOccasion): string {
  if (occasion === 'up' || occasion === 'down' || occasion === 'route-pre-down') return '--up/--down';
  return occasion === 'tls-verify' ? '--tls-verify script' : `--${occasion}`;
}
