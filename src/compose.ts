// The composition root of a client on Linux and Node: the rooms joined with their adapters. The command and the library
// both go through it.

import { release } from 'node:os';
import { resolve } from 'node:path';
import { Client, type ClientEnd, type ClientObserver } from './client/client.ts';
import type { ChallengePort, CredentialsPort, Steering } from './client/ports.ts';
import { loadWraps } from './client/wraps.ts';
import {
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
import type { ExternalSigner } from './control/tls-engine.ts';
import { openWrappedKey } from './crypto/wrapped-key.ts';
import { handedPorts, hostOfHanded } from './handed-device.ts';
import { clientDns } from './host-dns.ts';
import { formatAddress } from './ip/address.ts';
import { createBootClock } from './linux/clock.ts';
import { createLinkPort } from './linux/links.ts';
import { createNetworkWatch } from './linux/network-watch.ts';
import { Level } from './log.ts';
import { createStreamPort } from './node/byte-stream.ts';
import { parseInlineCredentials, readCredentialsFile } from './node/credentials-file.ts';
import { createNodeCrypto } from './node/crypto-provider.ts';
import { createNodeResolver } from './node/resolver.ts';
import { createNodeScripts } from './node/scripts.ts';
import { createSignedElsewhereFactory } from './node/signed-elsewhere.ts';
import { createNodeTlsFactory } from './node/tls-engine.ts';
import { loadTlsMaterial, nodeMaterialFiles } from './node/tls-material.ts';
import { recoverBeforeStart } from './recover.ts';
import type { ScriptEnvironment } from './tunnel/environment.ts';
import type { JournalEntry } from './tunnel/journal.ts';
import { OPENVPN_VERSION } from './version.ts';

export interface ComposeOptions extends Surroundings {
  /** Asks for what the profile's own file or block does not give. */
  readonly credentials: Pick<CredentialsPort, 'ask' | 'answersChallenges'>;
  /** Whoever answers questions beside username and password, if there is anybody. */
  readonly challenges?: ChallengePort | undefined;
  /** Whoever steers the attempts from outside, if there is anybody. */
  readonly steering?: Steering | undefined;
  /** Whoever signs in place of a private key. */
  readonly signer?: ExternalSigner | undefined;
}

export interface ComposedClient {
  /** What scripts see of the tunnel now. */
  scriptEnvironment(): ScriptEnvironment;
  /** What stands on the host of what was done to it. */
  hostChanges(): readonly JournalEntry[];
  start(observer: ClientObserver): { readonly client: Client; run(): Promise<ClientEnd> };
}

/** Reads and checks everything the configuration names, and joins the rooms. Nothing on the host is changed but what a killed process left. */
export async function composeClient(config: Config, options: ComposeOptions): Promise<ComposedClient> {
  const { log, directory } = options;
  const warn = (text: string): void => log(Level.warning, text);
  const pathOf = (path: string): string => resolve(directory, path);
  const readText = (source: Source): string => readSource(source, directory);
  prepareProcess(config);
  const plane = startPlane(config, options);
  let plugins: Plugins | undefined;
  const { close: closeDns, ...dns } =
    options.device === undefined && options.handed === undefined
      ? clientDns(config, { url: new URL('./dns-helper.js', options.workerUrl), output: options.scriptOutput })
      : { close() {} };
  try {
    const { handed } = options;
    const { devices, network } = handed === undefined ? hostPorts(options.device, 1) : handedPorts(handed);
    const resolver = createNodeResolver();
    const { signer } = options;
    const tlsMaterial = await loadTlsMaterial(
      { ...config.tls, keyIsElsewhere: signer !== undefined },
      {
        read: (path, only) => nodeMaterialFiles.read(pathOf(path), only),
        stamp: (path) => nodeMaterialFiles.stamp(pathOf(path)),
        list: (path) => nodeMaterialFiles.list(pathOf(path)),
        exists: (path) => nodeMaterialFiles.exists(pathOf(path)),
        passphrase: options.passphrase,
        warn,
      },
    );
    const material = {
      ...loadWraps(config, readText, (wrapped, key) => openWrappedKey(wrapped, key, createNodeCrypto())),
      tls:
        signer === undefined
          ? createNodeTlsFactory(tlsMaterial)
          : createSignedElsewhereFactory(tlsMaterial, new URL('./signing-thread.js', options.workerUrl), signer),
      peerInfo: {
        version: OPENVPN_VERSION,
        platform: process.platform === 'darwin' ? 'mac' : process.platform,
        platformVersion: release(),
        sslVersion: `OpenSSL ${process.versions.openssl}`,
        hardwareAddress: (remote: { address: Uint8Array }) =>
          network.lookup(formatAddress(remote.address))?.linkAddress,
      },
    };
    const scripts = createNodeScripts(scriptStdio(options.scriptOutput));
    plugins = await startPlugins(config, options);
    const journal = hostJournal(options);
    const host = composeHost(config, options, {
      devices,
      network,
      scripts,
      resolver,
      downRoot: plugins.downRoot,
      ...dns,
      keepRecord: journal?.keep,
    });
    if (journal !== undefined) await recoverBeforeStart(log);
    return {
      scriptEnvironment: () => host.scriptEnvironment('up'),
      hostChanges: () => host.changes,
      start(observer) {
        const client = new Client(
          config,
          {
            clock: createBootClock(),
            resolver,
            links: createLinkPort(),
            streams: createStreamPort(),
            crypto: createNodeCrypto(),
            host: handed === undefined ? host : hostOfHanded(host, handed),
            scripts: host.scripts,
            material,
            credentials: {
              read: (source, kind) =>
                source.kind === 'inline'
                  ? parseInlineCredentials(source.text, kind)
                  : readCredentialsFile(pathOf(source.path), kind, warn),
              ask: options.credentials.ask,
              answersChallenges: options.credentials.answersChallenges,
            },
            challenges: options.challenges,
            steering: options.steering,
            network: options.device === undefined ? createNetworkWatch() : undefined,
            log,
            plane: plane.listenedBy,
          },
          observer,
        );
        return {
          client,
          run: () =>
            client.run().finally(() => {
              journal?.end();
              plugins?.close();
              closeDns();
            }),
        };
      },
    };
  } catch (error) {
    plugins?.close();
    await plane.close();
    throw error;
  }
}
