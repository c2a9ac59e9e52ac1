// The composition root of a server on Linux and Node: the rooms joined with their adapters. The command and the library
// both go through it.

import { resolve } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { privilegePort, scriptStdio, startPlane } from './compose-parts.ts';
import type { Config, Source } from './config/config.ts';
import type { ServerOptions } from './config/server-options.ts';
import { SallyportError } from './error.ts';
import { createBootClock } from './linux/clock.ts';
import { createLinkPort } from './linux/links.ts';
import { createNetlinkPort } from './linux/netlink.ts';
import { loadProvider } from './linux/openssl.ts';
import { setNice } from './linux/privileges.ts';
import { createTunPort } from './linux/tun.ts';
import { Level, type Log } from './log.ts';
import { createNodeCrypto } from './node/crypto-provider.ts';
import { materialExpiry, watchExpiry } from './node/expiry-watch.ts';
import { formatLocalTime } from './node/logger.ts';
import { MAX_MATERIAL_BYTES, readBoundedFile } from './node/read-file.ts';
import { createNodeResolver } from './node/resolver.ts';
import { createNodeScripts } from './node/scripts.ts';
import { createServerFiles } from './node/server-files.ts';
import { createStreamRelay } from './node/stream-relay.ts';
import { createNodeTlsFactory, type NodeTlsFactory } from './node/tls-engine.ts';
import { loadTlsMaterial, nodeMaterialFiles, type TlsMaterial } from './node/tls-material.ts';
import { TOKEN_SECRET_BYTES, tokenKey } from './server/auth-token.ts';
import type { ServerHooks } from './server/hooks.ts';
import { METRICS_CONTENT_TYPE, metricsText } from './server/metrics-text.ts';
import { Server, type ServerEnd, type ServerObserver } from './server/server.ts';
import { loadServerWraps } from './server/wraps.ts';
import { Host } from './tunnel/host.ts';
import { SALLYPORT_VERSION } from './version.ts';
import { parseAuthTokenKey } from './wire/auth-token-key.ts';

export interface ServeOptions {
  readonly log: Log;
  readonly hooks?: ServerHooks | undefined;
  /** Asks for the passphrase of the private key; rejects when nobody can be asked. */
  passphrase(): Promise<string>;
  /** The file of the configuration as scripts see it. */
  readonly configFile: string | undefined;
  /** Relative file names start from here, also after the working directory has changed. */
  readonly directory: string;
  /** Where scripts print; default: where this process prints. */
  readonly scriptOutput?: number | 'ignore' | undefined;
  /** The built data-plane worker, and one of it that was started ahead, if any. */
  readonly workerUrl: URL;
  readonly worker?: Worker | undefined;
}

export interface ComposedServer {
  start(observer: ServerObserver): { readonly server: Server; run(): Promise<ServerEnd> };
}

/** Beside the clients themselves: those that take another's place, and the gate's. */
const SPARE_PEERS = 64;

/** Reads and checks everything the configuration names, and joins the rooms. Nothing on the host is changed. */
export async function composeServer(config: Config, options: ServeOptions): Promise<ComposedServer> {
  const { server } = config;
  if (server === undefined) throw new TypeError('the configuration is not that of a server (mode server)');
  const { log, directory } = options;
  for (const provider of config.providers) loadProvider(provider);
  if (config.process.nice !== undefined) setNice(config.process.nice);
  const plane = startPlane({ ...options, peerSlots: server.maxClients + SPARE_PEERS });
  try {
    const crypto = createNodeCrypto();
    const readText = (source: Source): string => readSource(source, directory);
    const tls = createNodeTlsFactory(await readTls(config, options), {
      requestCertificate: server.verifyClientCert !== 'none',
    });
    const material = {
      tls,
      wraps: loadServerWraps(config, server, readText),
      tokenKey: readTokenKey(server, readText, (length) => crypto.randomBytes(length), log),
    };
    const resolver = createNodeResolver();
    const scripts = createNodeScripts(scriptStdio(options.scriptOutput));
    const host = new Host(config, {
      devices: createTunPort(),
      network: createNetlinkPort(),
      scripts,
      privileges: privilegePort(config),
      resolver,
      log,
      pid: process.pid,
      startUnixSeconds: Math.floor(Date.now() / 1000),
      configFile: options.configFile,
    });
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
            links: createLinkPort(),
            crypto,
            host,
            scripts,
            files: createServerFiles({ directory, tmpDir: server.tmpDir }),
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
              relay?.close();
              await metrics?.close();
            });
          },
        };
      },
    };
  } catch (error) {
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

function readSource(source: Source, directory: string): string {
  if (source.kind === 'inline') return source.text;
  return readBoundedFile(resolve(directory, source.path), MAX_MATERIAL_BYTES).toString('utf8');
}

/** Certificates, keys and lists, as they are now. */
function readTls(config: Config, options: ServeOptions): Promise<TlsMaterial> {
  const pathOf = (path: string): string => resolve(options.directory, path);
  return loadTlsMaterial(config.tls, {
    read: (path) => nodeMaterialFiles.read(pathOf(path)),
    stamp: (path) => nodeMaterialFiles.stamp(pathOf(path)),
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
    return tokenKey(randomBytes(TOKEN_SECRET_BYTES));
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
