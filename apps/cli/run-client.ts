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
import type { Attached, Management } from '../management/management.ts';
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
  readonly hasProcess: true;
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
  management?.attach(heldClient(setting.config, management));
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
    async passphrase() {
      if (management?.settings.queryPasswords === true) {
        ready();
        await management.core.hold(0, management.early);
      }
      return credentials.passphrase();
    },
    signer: management?.settings.externalKey && managedSigner(management.core, management.settings.externalKey),
    steering: management && observer && managedSteering(management.core, (profile) => observer.begins(profile)),
  });
  ready();
  const { client, run } = composed.start({
    ...observer,
    state(state) {
      if (state.phase === 'connected') management?.tunnelUp(state.plan.address4?.local);
      if (state.phase === 'connected') service.status('Initialization Sequence Completed');
      else if (state.phase === 'reconnecting') service.status('Not connected, trying again');
      observer?.state(state);
      control?.observer.state(state);
    },
    peerConnected(peer) {
      observer?.peerConnected();
      control?.observer.peerConnected(peer);
    },
    signalled(signal) {
      observer?.signalled(signal);
      management?.tunnelDown();
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
    signal: (name, why) => (name === 'SIGUSR2' ? reports.toLog() : client.signal(name, why)),
    forgetPasswords: () => client.forgetPasswords(),
    status: () => reports.lines(),
    loadStats: () => ({ clients: 0, ...linkBytes() }),
    crResponse: (base64) => managed?.handleResponse(base64) ?? false,
    remotes: remotesOf(config),
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

const remotesOf = ({ connections }: Config): readonly string[] =>
  connections.map((each) => `${each.remote ?? ''},${each.remotePort},${protocolOf(each)},enabled`);

/** What management sees of a client that is not there yet, because a key or certificate is asked for. */
const heldClient = (config: Config, { signalEarly }: Management): Attached => ({
  signal: signalEarly,
  forgetPasswords: () => {},
  status: () => undefined,
  loadStats: () => ({ clients: 0, bytesIn: 0, bytesOut: 0 }),
  crResponse: () => false,
  remotes: remotesOf(config),
  server: undefined,
  authRetry: { get: () => config.authRetry, set: () => {} },
  traffic: () => [],
});

/**
 * What comes before keys are read, as with the C program: a hold, and the question for the certificate. Whoever waits for
 * this process to be ready does not wait for answers of a management client.
 */
async function heldStart(config: Config, { core, settings, early }: Management, ready: () => void): Promise<Config> {
  const { externalCert } = settings;
  if (externalCert === undefined) return config;
  ready();
  await core.hold(0, early);
  const text = await managedCertificate(core, externalCert, early);
  const origin = { file: '[MANAGEMENT]', line: 1 };
  return { ...config, tls: { ...config.tls, cert: { kind: 'inline', text, origin } } };
}
