// What the composition roots of clients and servers have in common.

import { randomBytes } from 'node:crypto';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, resolve } from 'node:path';
import type { Worker } from 'node:worker_threads';
import type { Config, Source } from './config/config.ts';
import type { PlaneListener } from './data/plane.ts';
import { SallyportError } from './error.ts';
import type { HandedDevice } from './handed-device.ts';
import { createHostJournal, type HostJournal } from './host-journal.ts';
import { startDownRootHelper, startPamHelper } from './linux/helpers.ts';
import { createNetlinkPort } from './linux/netlink.ts';
import { availableDigests, loadProvider } from './linux/openssl.ts';
import { dropPrivileges, enterChroot, hasNetAdmin, lookupGroup, lookupUser, setNice } from './linux/privileges.ts';
import { trimMemory } from './linux/trim-memory.ts';
import { createTunPort } from './linux/tun.ts';
import { createWorkerPlane, type WorkerPlane } from './linux/worker-plane.ts';
import { Level, type Log } from './log.ts';
import { createCertificateFiles, createTemporaryFiles } from './node/certificate-files.ts';
import { createNodeCrypto } from './node/crypto-provider.ts';
import { MAX_MATERIAL_BYTES, readBoundedFile } from './node/read-file.ts';
import type { ScriptStdio } from './node/scripts.ts';
import type { PacketDevice } from './packet-device.ts';
import type { PasswordPlugin } from './server/ports.ts';
import { Host, type HostPorts } from './tunnel/host.ts';
import type { CertificateFiles, DevicePort, DownRootPort, NetworkPort } from './tunnel/ports.ts';
import type { PrivilegePort } from './tunnel/privileges.ts';
import { workerCount } from './worker-count.ts';

/** What clients and servers get from the program that runs them. */
export interface Surroundings {
  readonly log: Log;
  /** Asks for the passphrase of the private key; rejects when nobody can be asked. */
  passphrase(): Promise<string>;
  /** The configuration's file as scripts see it. */
  readonly configFile: string | undefined;
  /** Relative file names start from here, also after the working directory has changed. */
  readonly directory: string;
  /** Where scripts print; default: where this process prints. */
  readonly scriptOutput?: number | 'ignore' | undefined;
  /** The built data-plane worker, and one of it that was started ahead, if any. */
  readonly workerUrl: URL;
  readonly worker?: Worker | undefined;
  /** Whether the process is this tunnel's alone. */
  readonly hasProcess?: boolean | undefined;
  /** The tunnel ends here and not in a device of the host. */
  readonly device?: PacketDevice | undefined;
  /** A device that was opened by somebody else, who sets up the host's network, too. */
  readonly handed?: HandedDevice | undefined;
}

export interface StartedPlane {
  /** How many threads move packets. */
  readonly workers: number;
  listenedBy(listener: PlaneListener): WorkerPlane;
  close(): Promise<void>;
}

/**
 * The workers start at once, beside everything else; who listens to them is known later. `peerSlots`: how many peers can live
 * at once; a client's few when absent.
 */
export function startPlane(
  config: Config,
  {
    workerUrl,
    worker,
    hasProcess,
    device,
    log,
  }: Pick<Surroundings, 'workerUrl' | 'worker' | 'hasProcess' | 'device' | 'log'>,
  peerSlots?: number,
): StartedPlane {
  const { workers, note } = workerCount(config, { cores: availableParallelism(), inMemory: device !== undefined });
  if (note !== undefined) log(Level.info, note);
  let listener: PlaneListener = () => {};
  let isToTrim = hasProcess === true;
  const plane = createWorkerPlane({
    ...{ workerUrl, worker, workers, hasProcess },
    measure: config.process.measureDataPath,
    ...(peerSlots === undefined ? {} : { peerSlots }),
    listener: (event) => {
      if (isToTrim && event.type === 'data-path') {
        isToTrim = false;
        setTimeout(trimMemory, SETTLED_MS).unref();
      }
      listener(event);
    },
  });
  if (device !== undefined) attachDevices(plane, device);
  return {
    workers,
    listenedBy(known) {
      listener = known;
      return plane;
    },
    close: () => plane.close(),
  };
}

/** Packets have begun to move: what belongs to a start is over so long after that. */
const SETTLED_MS = 5_000;

/** What crosses the plane's device comes to `device`, whichever it is at the time. */
function attachDevices(plane: WorkerPlane, device: PacketDevice): void {
  const add = plane.addDevice.bind(plane);
  plane.addDevice = (options) => {
    const id = add(options);
    if (options.endpoint.kind === 'memory') device.attach(plane.deviceEnd(id));
    return id;
  };
}

/** The host's devices and network, or nothing of it where the tunnel ends in the program. */
export function hostPorts(
  device: PacketDevice | undefined,
  queues: number,
): { devices: DevicePort; network: NetworkPort } {
  if (device === undefined) return { devices: createTunPort(queues), network: createNetlinkPort() };
  const nothing = (): void => {};
  return {
    devices: {
      open: () => ({ name: 'memory', index: 0, fd: -1, persistent: false }),
      close: nothing,
      mayOpen: () => true,
    },
    network: {
      setLinkUp: nothing,
      setMtu: nothing,
      setLinkAddress: nothing,
      addAddress: nothing,
      removeAddress: nothing,
      addRoute: nothing,
      removeRoute: nothing,
      lookup: () => undefined,
      defaultRoutes: () => [],
      routesTo: () => [],
      linkIndex: () => undefined,
      linkAddressOf: () => undefined,
      addressesOf: () => [],
      addresses: () => [],
    },
  };
}

/** Before anything is read: providers of OpenSSL, and the process's own priority. */
export function prepareProcess({ providers, auth, process: { nice } }: Config): void {
  for (const provider of providers) loadProvider(provider);
  const known = auth === 'none' || createNodeCrypto().digestLength(auth) !== undefined;
  if (!known && availableDigests([auth]).length === 0) {
    throw new SallyportError(`Message hash algorithm '${auth}' not found`, {
      code: 'SALLYPORT_CONFIG',
      blame: 'config',
      hint: 'Write auth SHA256, or another that --show-digests lists.',
    });
  }
  if (nice !== undefined) setNice(nice);
}

/** Where this process writes down what it changes on the host; nowhere, where it changes nothing of it. */
export const hostJournal = ({
  device,
  handed,
  configFile,
  log,
}: Pick<Surroundings, 'device' | 'handed' | 'configFile' | 'log'>): HostJournal | undefined =>
  device === undefined && handed === undefined
    ? createHostJournal({ profile: basename(configFile ?? 'no file'), log })
    : undefined;

/** What the tunnel does to the host, with the adapters of this platform. */
export const composeHost = (
  config: Config,
  { log, configFile, directory }: Pick<Surroundings, 'log' | 'configFile' | 'directory'>,
  ports: Pick<
    HostPorts,
    'devices' | 'network' | 'scripts' | 'resolver' | 'downRoot' | 'dns' | 'runDnsUpdown' | 'keepRecord'
  >,
): Host =>
  new Host(config, {
    ...ports,
    certificateFiles: certificateFiles(config, directory),
    keyFiles: createTemporaryFiles(
      resolve(directory, config.scripts.tmpDir ?? tmpdir()),
      'openvpn_tls_crypt_v2_metadata_',
    ),
    privileges: privilegePort(config),
    log,
    pid: process.pid,
    startUnixSeconds: Math.floor(Date.now() / 1000),
    unique: randomBytes(8).toString('hex'),
    configFile,
  });

/** Where the peer's certificates are put for scripts, if anywhere. */
export const certificateFiles = ({ scripts }: Config, directory: string): CertificateFiles | undefined =>
  createCertificateFiles(scripts.exportCertificates && resolve(directory, scripts.exportCertificates));

/** What the configuration's plug-ins are here. */
export interface Plugins {
  readonly passwordPlugins: readonly PasswordPlugin[];
  readonly downRoot: readonly DownRootPort[];
  close(): void;
}

/** Helper processes of plug-ins start before anything gives up rights. Rejects with SallyportError when one can't. */
export async function startPlugins(
  { scripts, mode }: Config,
  { workerUrl, scriptOutput, log }: Pick<Surroundings, 'workerUrl' | 'scriptOutput' | 'log'>,
): Promise<Plugins> {
  const options = { url: new URL('./root-helper.js', workerUrl), output: scriptOutput };
  const passwordPlugins: PasswordPlugin[] = [];
  const downRoot: DownRootPort[] = [];
  const open: { close(): void }[] = [];
  const close = (): void => {
    for (const helper of open) helper.close();
  };
  try {
    for (const plugin of scripts.plugins) {
      const { path } = plugin;
      if (plugin.kind === 'down-root') {
        const helper = await startDownRootHelper(plugin.command, options);
        open.push(helper);
        downRoot.push(helper);
        log(
          Level.plugin,
          `PLUGIN_INIT: POST ${path} '[${[path, ...plugin.command].join('] [')}]' intercepted=PLUGIN_UP|PLUGIN_DOWN`,
        );
      } else if (mode !== 'server') {
        log(Level.warning, `WARNING: plugin ${path} has no effect: only a server checks passwords`);
      } else {
        const { service, answers } = plugin;
        const helper = await startPamHelper({ service, answers }, options);
        open.push(helper);
        passwordPlugins.push({ name: 'PLUGIN AUTH-PAM', path, verify: helper.login });
        const pairs = answers.flatMap(({ query, answer }) => [query, shownAnswer(answer)]);
        log(
          Level.plugin,
          `PLUGIN_INIT: POST ${path} '[${[path, service, ...pairs].join('] [')}]' intercepted=PLUGIN_AUTH_USER_PASS_VERIFY`,
        );
      }
    }
  } catch (error) {
    close();
    throw error;
  }
  return { passwordPlugins, downRoot, close };
}

/** For the log: an answer that is no more than the name of a client's word; others may be secrets. */
const shownAnswer = (answer: string): string => (/^(USERNAME|PASSWORD|COMMONNAME|OTP)$/.test(answer) ? answer : '***');

/** The text of a key or of another small file, inline or by name. Throws what reading throws. */
export function readSource(source: Source, directory: string): string {
  if (source.kind === 'inline') return source.text;
  return readBoundedFile(resolve(directory, source.path), MAX_MATERIAL_BYTES).toString('utf8');
}

/** Where scripts print. */
export const scriptStdio = (output: number | 'ignore' | undefined): ScriptStdio =>
  output === undefined ? {} : { stdout: output, stderr: output };

/** Names are looked up now: after chroot there may be no /etc to look into. */
function privilegePort(config: Config): PrivilegePort {
  const { user, group } = config.process;
  const account = user === undefined ? undefined : lookupUser(user);
  const gid = group === undefined ? undefined : lookupGroup(group);
  if (user !== undefined && account === undefined) throw unknownName('user', 'UID', user);
  if (group !== undefined && gid === undefined) throw unknownName('group', 'GID', group);
  return {
    chroot: enterChroot,
    changeIdentity({ keep }) {
      dropPrivileges({ uid: account?.uid, gid, keepNetAdmin: keep.includes('CAP_NET_ADMIN') });
      return hasNetAdmin() ? ['CAP_NET_ADMIN'] : [];
    },
  };
}

const unknownName = (option: string, id: string, name: string): SallyportError =>
  new SallyportError(`failed to find ${id} for ${option} ${name}`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: `Name a ${option} that exists on this machine.`,
  });
