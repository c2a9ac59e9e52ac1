// The composition root of a server on Linux and Node: the rooms joined with their adapters. The command and the library
// both go through it.

import { resolve } from 'node:path';
import {
  certificateFiles,
  composeHost,
  hostJournal,
  hostPorts,
  type Plugins,
  prepareProcess,
  readSource,
  type Surroundings,
  scriptStdio,
  startPlane,
  startPlugins,
} from './compose-parts.ts';
import type { Config, Source } from './config/config.ts';
import { type ConfigChange, reloadConfig } from './config/reload.ts';
import type { ServerOptions } from './config/server-options.ts';
import { SallyportError } from './error.ts';
import { createBootClock } from './linux/clock.ts';
import { createLinkPort } from './linux/links.ts';
import { Level, type Log } from './log.ts';
import { createNodeCrypto } from './node/crypto-provider.ts';
import { materialExpiry, watchExpiry } from './node/expiry-watch.ts';
import { HeldFiles } from './node/held-files.ts';
import { formatLocalTime } from './node/logger.ts';
import { createNodeResolver } from './node/resolver.ts';
import { createNodeScripts } from './node/scripts.ts';
import { createServerFiles } from './node/server-files.ts';
import { createStreamRelay } from './node/stream-relay.ts';
import { createNodeTlsFactory, type NodeTlsFactory } from './node/tls-engine.ts';
import { loadTlsMaterial, nodeMaterialFiles, type TlsMaterial } from './node/tls-material.ts';
import { recoverBeforeStart } from './recover.ts';
import { tokenKey } from './server/auth-token.ts';
import type { ServerHooks } from './server/hooks.ts';
import { METRICS_CONTENT_TYPE, metricsText } from './server/metrics-text.ts';
import { Server, type ServerEnd, type ServerObserver } from './server/server.ts';
import { loadServerWraps } from './server/wraps.ts';
import { SALLYPORT_VERSION } from './version.ts';
import { AUTH_TOKEN_KEY_BYTES, parseAuthTokenKey } from './wire/auth-token-key.ts';

export interface ServeOptions extends Surroundings {
  readonly hooks?: ServerHooks | undefined;
}

export interface ComposedServer {
  start(observer: ServerObserver): RunningParts;
}

/** A server that was started, and the way to change it. */
export interface RunningParts {
  readonly server: Server;
  run(): Promise<ServerEnd>;
  /**
   * Reads what `next` (undefined: the configuration in force) names, and goes by it from now on, as far as that can be
   * without a restart (`checksLogins`: see ConfigHost). Rejects with SallyportError for what can't be used; then nothing has changed.
   */
  reload(next: Config | undefined, checksLogins: boolean): Promise<ReloadReport>;
}

/** Which options a reload changed, and which changed ones keep their old value until a restart. */
export interface ReloadReport extends Pick<ConfigChange, 'applied' | 'needRestart'> {
  readonly config: Config;
}

/** Beside the clients themselves: those that take another's place, and the gate's. */
const SPARE_PEERS = 64;
/** `max-clients` can be raised this far while the server runs. */
const LEAST_PEERS = 1024;

/** Reads and checks everything the configuration names, and joins the rooms. Nothing on the host is changed but what a killed process left. */
export async function composeServer(config: Config, options: ServeOptions): Promise<ComposedServer> {
  const { server } = config;
  if (server === undefined) throw new TypeError('the configuration is not that of a server (mode server)');
  const { log, directory } = options;
  prepareProcess(config);
  const mostClients = Math.max(server.maxClients, LEAST_PEERS);
  const plane = startPlane(config, options, mostClients + SPARE_PEERS);
  const { workers } = plane;
  let plugins: Plugins | undefined;
  try {
    const crypto = createNodeCrypto();
    const { readText, kept } = keptTexts(config, directory);
    const held = new HeldFiles();
    const tls = createNodeTlsFactory(await readTls(config, options, held), requestOf(server));
    const material = {
      tls,
      revocation: tls,
      wraps: loadServerWraps(config, server, readText),
      tokenKey: readTokenKey(server, readText, (length) => crypto.randomBytes(length), log),
    };
    const resolver = createNodeResolver();
    const scripts = createNodeScripts(scriptStdio(options.scriptOutput));
    plugins = await startPlugins(config, options);
    const { passwordPlugins, downRoot } = plugins;
    const journal = hostJournal(options);
    const host = composeHost(config, options, {
      ...hostPorts(options.device, workers),
      scripts,
      resolver,
      downRoot,
      keepRecord: journal?.keep,
    });
    if (journal !== undefined) await recoverBeforeStart(log);
    const { portShare } = server;
    const clock = createBootClock();
    const metrics = await serveMetrics(server, log, tls);
    return {
      start(observer) {
        const relay =
          portShare === undefined
            ? undefined
            : createStreamRelay(
                portShare.host,
                Number(portShare.port),
                portShare.directory === undefined ? undefined : resolve(directory, portShare.directory),
                log,
              );
        const running = new Server(
          config,
          {
            clock,
            resolver,
            links: createLinkPort(workers),
            crypto,
            host,
            scripts,
            files: createServerFiles({ directory, tmpDir: server.tmpDir }),
            certificateFiles: certificateFiles(config, directory),
            passwordPlugins,
            localTime: formatLocalTime,
            material,
            hooks: options.hooks ?? {},
            log,
            relay,
            plane: plane.listenedBy,
          },
          observer,
        );
        metrics?.show(running);
        return {
          server: running,
          run() {
            const forget = watchExpiry(() => tls.material, clock, log);
            return running.run().finally(async () => {
              forget();
              journal?.end();
              plugins?.close();
              relay?.close();
              await metrics?.close();
            });
          },
          async reload(next, checksLogins) {
            const change = reloadConfig(running.config, next ?? running.config, {
              checksLogins,
              mostClients,
            });
            const read = await readTls(change.config, options, held);
            const report = {
              config: change.config,
              applied: [...new Set([...change.applied, ...changedMaterial(tls.material, read)])],
              needRestart: [...new Set([...change.needRestart, ...kept.filter(isStale).map(({ option }) => option)])],
            };
            tls.reload(read, requestOf(change.config.server ?? server));
            running.reload(change.config);
            if (held.withheld.length > 0) {
              log(
                Level.warning,
                `NOTE: this process may not read these files any more, and goes on with what it read before: ${held.withheld.join(', ')}`,
              );
            }
            return report;
          },
        };
      },
    };
  } catch (error) {
    plugins?.close();
    await plane.close();
    throw error;
  }
}

/** Listens for readers of `metrics`; what they are shown is the server's, once there is one. */
async function serveMetrics(
  { metrics }: ServerOptions,
  log: Log,
  tls: NodeTlsFactory,
): Promise<{ show(server: Server): void; close(): Promise<void> } | undefined> {
  if (metrics === undefined) return undefined;
  const { openMetricsServer } = await import('./node/metrics-server.ts');
  let shown: Server | undefined;
  const http = await openMetricsServer(metrics, METRICS_CONTENT_TYPE, () =>
    shown === undefined
      ? ''
      : metricsText(
          shown.metrics({
            version: SALLYPORT_VERSION,
            expiry: materialExpiry(tls.material),
            eventLoopDelaySeconds: http.eventLoopDelaySeconds(),
          }),
        ),
  );
  log(
    Level.info,
    `Metrics are at http://${metrics.host.includes(':') ? `[${metrics.host}]` : metrics.host}:${metrics.port}/metrics`,
  );
  return {
    show: (server) => {
      shown = server;
    },
    close: () => http.close(),
  };
}

const requestOf = ({ verifyClientCert }: ServerOptions) => ({ requestCertificate: verifyClientCert !== 'none' });

/** A key file as it was at the start; what is made of it lasts until a restart. */
interface KeptText {
  readonly option: string;
  readonly text: string;
  read(): string;
}

/** Reads files, and remembers what stood in them. */
function keptTexts(
  { lines }: Config,
  directory: string,
): {
  readText(source: Source): string;
  readonly kept: readonly KeptText[];
} {
  const kept: KeptText[] = [];
  return {
    kept,
    readText(source) {
      const read = (): string => readSource(source, directory);
      const text = read();
      if (source.kind === 'file') {
        const option = lines.find(({ words }) => words[0] === source.path)?.option ?? source.path;
        kept.push({ option, text, read });
      }
      return text;
    },
  };
}

/** Whether the file says something else now. One that can't be read any more (after chroot) says nothing. */
function isStale({ text, read }: KeptText): boolean {
  try {
    return read() !== text;
  } catch {
    return false;
  }
}

/** The options whose files have other contents now. */
function changedMaterial(before: TlsMaterial, now: TlsMaterial): string[] {
  const raw = (material: TlsMaterial) => ({
    ca: material.authorities.map((one) => one.fingerprint256).join(),
    cert: material.certificate?.fingerprint256,
    'crl-verify': material.revocationLists.map((list) => Buffer.from(list).toString('base64')).join(),
  });
  const [old, next] = [raw(before), raw(now)];
  return (['ca', 'cert', 'crl-verify'] as const).filter((name) => old[name] !== next[name]);
}

/** Certificates, keys and lists, as they are now. */
function readTls(config: Config, options: ServeOptions, held: HeldFiles): Promise<TlsMaterial> {
  const pathOf = (path: string): string => resolve(options.directory, path);
  return loadTlsMaterial(config.tls, {
    read: (path, only) => held.read(pathOf(path), only),
    readNow: (path, only) => nodeMaterialFiles.read(pathOf(path), only),
    stamp: (path) => nodeMaterialFiles.stamp(pathOf(path)),
    list: (path) => held.list(pathOf(path), nodeMaterialFiles.list),
    exists: (path) => nodeMaterialFiles.exists(pathOf(path)),
    passphrase: options.passphrase,
    warn: (text) => options.log(Level.warning, text),
  });
}

function readTokenKey(
  { authGenToken, authGenTokenSecret }: ServerOptions,
  read: (source: Source) => string,
  randomBytes: (length: number) => Uint8Array,
  log: Log,
): Uint8Array | undefined {
  if (authGenToken === undefined) return undefined;
  if (authGenTokenSecret === undefined) {
    log(Level.info, 'Using random OpenVPN auth-token server key.');
    return tokenKey(randomBytes(AUTH_TOKEN_KEY_BYTES));
  }
  const { origin } = authGenTokenSecret;
  const parsed = parseAuthTokenKey(read(authGenTokenSecret));
  const key = 'problem' in parsed ? undefined : tokenKey(parsed.key);
  if (key !== undefined) return key;
  const problem = 'problem' in parsed ? parsed.problem : 'it is too short';
  throw new SallyportError(`${origin.file}:${origin.line}: auth-gen-token-secret: ${problem}`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: 'Make one with --genkey auth-token FILE.',
  });
}
