// A client under the command: composed, started, reported on.

import type { Worker } from 'node:worker_threads';
import type { Config, Logger, SallyportError } from '../../src/command.ts';
import { composeClient } from '../../src/compose.ts';
import type { Control } from '../desktop/control-server.ts';
import {
  clientObserver,
  ManagedChallenges,
  managedCertificate,
  managedSigner,
  managedSteering,
  protocolOf,
} from '../management/client-side.ts';
import type { Management } from '../management/management.ts';
import type { CommandCredentials } from './credentials.ts';
import { startReports } from './reports.ts';
import type { Service } from './service.ts';
import type { SignalListener } from './signals.ts';

/** What a run of the configuration starts from. */
export interface RunSetting {
  readonly config: Config;
  readonly logger: Logger;
  readonly service: Service;
  readonly credentials: CommandCredentials;
  readonly management: Management | undefined;
  /** The file that scripts see in `config`. */
  readonly configFile: string | undefined;
  readonly directory: string;
  readonly scriptOutput: number | undefined;
  readonly workerUrl: URL;
  readonly worker: Worker | undefined;
  /** Reads the configuration again (SIGHUP), as at the start; undefined when it can't be used, which has been told. */
  reread(running: Config): Config | undefined;
  /** The control socket of a tunnel that `sallyport up` started. */
  readonly control?: Control | undefined;
  /** Everything was read and checked: a parent that waits for it may go. */
  ready(): void;
}

/** Something that runs until it should end, or until the configuration is to be read again. */
export interface Running extends SignalListener {
  readonly ended: Promise<RunEnd>;
  /** After the end. */
  stop(): void;
}

export type RunEnd =
  | { readonly kind: 'exit'; readonly exitCode: number; readonly error: SallyportError | undefined }
  | { readonly kind: 'reload' };

/** Reads what the configuration names, and connects. Rejects for what can't be read. */
export async function runClient(setting: RunSetting): Promise<Running> {
  const { logger, service, credentials, management, control } = setting;
  let isReady = false;
  const ready = (): void => {
    if (!isReady) setting.ready();
    isReady = true;
  };
  const stated = management === undefined ? setting.config : await heldStart(setting.config, management, ready);
  // `auth-retry` can be changed by management while the client runs.
  let authRetry = stated.authRetry;
  const config: Config = Object.defineProperty({ ...stated }, 'authRetry', { get: () => authRetry });
  const observer =
    management && clientObserver(management.core, () => composed.scriptEnvironment() as Record<string, string>);
  const managed = management?.settings.queryPasswords === true ? new ManagedChallenges() : undefined;
  const composed = await composeClient(config, {
    ...setting,
    log: logger.log,
    challenges: managed ?? credentials.challenges(),
    passphrase: () => credentials.passphrase(),
    signer: management?.settings.externalKey && managedSigner(management.core, management.settings.externalKey),
    steering: management && observer && managedSteering(management.core, (profile) => observer.begins(profile)),
  });
  ready();
  const { client, run } = composed.start({
    ...observer,
    state(state) {
      if (state.phase === 'connected') service.status('Initialization Sequence Completed');
      else if (state.phase === 'reconnecting') service.status('Not connected, trying again');
      observer?.state(state);
      control?.observer.state(state);
    },
    peerConnected(peer) {
      observer?.peerConnected();
      control?.observer.peerConnected(peer);
    },
    info(kind, text) {
      observer?.info(kind, text);
      control?.observer.info(kind, text);
    },
  });
  control?.attach({
    signal: (name) => client.signal(name),
    statistics: () => client.statistics(),
    lookAtHost: () => client.lookAtHost(),
    changes: () => composed.hostChanges(),
  });
  const reports = startReports(config, client, logger, setting.directory);
  const linkBytes = (): { bytesIn: number; bytesOut: number } => {
    const { linkReadBytes, linkWriteBytes } = client.statistics().plane;
    return { bytesIn: linkReadBytes, bytesOut: linkWriteBytes };
  };
  management?.attach({
    signal: (name) => (name === 'SIGUSR2' ? reports.toLog() : client.signal(name)),
    forgetPasswords: () => client.forgetPasswords(),
    status: () => reports.lines(),
    loadStats: () => ({ clients: 0, ...linkBytes() }),
    crResponse: (base64) => managed?.handleResponse(base64) ?? false,
    remotes: config.connections.map((each) => `${each.remote ?? ''},${each.remotePort},${protocolOf(each)},enabled`),
    server: undefined,
    authRetry: {
      get: () => authRetry,
      set: (value) => {
        authRetry = value;
      },
    },
    traffic() {
      const { bytesIn, bytesOut } = linkBytes();
      return [`>BYTECOUNT:${bytesIn},${bytesOut}`];
    },
  });
  return {
    ended: run(),
    signal: (name) => client.signal(name),
    statistics: () => reports.toLog(),
    stop: () => {
      management?.attach(undefined);
      reports.stop();
    },
  };
}

/**
 * What comes before keys are read, as with the C program: a hold, and the question for the certificate. Whoever waits for
 * this process to be ready does not wait for answers of a management client.
 */
async function heldStart(config: Config, { core, settings, early }: Management, ready: () => void): Promise<Config> {
  const { hold, queryPasswords, externalCert } = settings;
  if (hold || queryPasswords || externalCert !== undefined) ready();
  await core.hold(0, early);
  if (externalCert === undefined) return config;
  const text = await managedCertificate(core, externalCert, early);
  const origin = { file: '[MANAGEMENT]', line: 1 };
  return { ...config, tls: { ...config.tls, cert: { kind: 'inline', text, origin } } };
}
