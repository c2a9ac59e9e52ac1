// The environment of a server's scripts about one client. The server's own part (`config`, `dev`, `ifconfig_local`, routes …)
// is that of its `up` script; a client's facts are laid over it as they become known, and stay known to every later
// script. Observed with OpenVPN 2.7.8.

import type { ListenOption } from '../config/server-options.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import {
  addCertificate,
  addCertificateIdentity,
  addPeer,
  type CertificateFacts,
  Environment,
  type ScriptEnvironment,
} from '../tunnel/environment.ts';
import { named, replaceControls } from './clean-text.ts';
import type { ClientAddresses } from './client-addresses.ts';

/** Bytes of a line of peer info as C reads them; what follows counts as a line of its own. */
const PEER_INFO_LINE_BYTES = 255;
/** Variables that a peer can make; real ones send about twenty. */
const PEER_INFO_LINES = 256;

/** What is known of a client; undefined until it is. */
export interface ClientScriptFacts {
  /** The last verified chain, the issuer first. */
  readonly certificates: readonly CertificateFacts[];
  /** Of the chain before, those that a renegotiation has not come to. */
  readonly known?: readonly CertificateFacts[] | undefined;
  /** The name the server goes by: of the certificate, or of the user under `username-as-common-name`. */
  readonly commonName: string | undefined;
  /** Where the TLS session comes from … */
  readonly untrusted: SocketAddress | undefined;
  /** … and where it came from when it was authenticated. */
  readonly trusted: SocketAddress | undefined;
  /** As it came in key method 2. */
  readonly peerInfo: string | undefined;
  /** From `cleanCredential`. */
  readonly username: string | undefined;
  /** Only for `auth-user-pass-verify` via-env, and only seen under `script-security 3`. */
  readonly password: string | undefined;
  /** From `ClientTokens.environment`, under `auth-gen-token`. */
  readonly session: { readonly sessionId: string; readonly sessionState: string } | undefined;
  /** Files that a deferring `auth-user-pass-verify` writes; they stay in the environment when it is over. */
  readonly authFiles: { readonly control: string; readonly pending: string; readonly failedReason: string } | undefined;
  /** Files that `client-connect` writes; in its environment only. */
  readonly connectFiles: { readonly config: string; readonly deferred: string } | undefined;
  readonly addresses: ClientAddresses | undefined;
  /** Whether IPv4 addresses go with a netmask (`topology subnet`, tap). */
  readonly withNetmask: boolean;
  readonly connected: { readonly unixSeconds: number; readonly localTime: string } | undefined;
  /** At the end. */
  readonly ended:
    | { readonly receivedBytes: number; readonly sentBytes: number; readonly durationSeconds: number }
    | undefined;
}

/** Nothing known. */
export const NO_CLIENT_FACTS: ClientScriptFacts = {
  certificates: [],
  commonName: undefined,
  untrusted: undefined,
  trusted: undefined,
  peerInfo: undefined,
  username: undefined,
  password: undefined,
  session: undefined,
  authFiles: undefined,
  connectFiles: undefined,
  addresses: undefined,
  withNetmask: true,
  connected: undefined,
  ended: undefined,
};

/** Scripts as C names them in `script_type`. */
export type ServerScriptType =
  | 'tls-verify'
  | 'user-pass-verify'
  | 'client-connect'
  | 'client-disconnect'
  | 'client-crresponse'
  | 'learn-address';

/**
 * The whole environment for a script about a client; `type` undefined: for somebody who is no script. `base`: from
 * `serverBase`; `security`: of `script-security`.
 */
export function clientEnvironment(
  type: ServerScriptType | undefined,
  base: ScriptEnvironment,
  facts: ClientScriptFacts,
  security: number,
): ScriptEnvironment {
  const environment = new Environment();
  for (const [name, value] of Object.entries(base)) environment.set(name, value);
  for (const certificate of facts.known ?? []) addCertificateIdentity(environment, certificate);
  for (const certificate of facts.certificates) addCertificate(environment, certificate);
  addPeer(environment, 'untrusted', facts.untrusted);
  addPeer(environment, 'trusted', facts.trusted);
  for (const [name, value] of peerInfoVariables(facts.peerInfo ?? '')) environment.set(name, value);
  const set = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) environment.set(name, String(value));
  };
  set('common_name', facts.commonName);
  set('username', facts.username);
  if (type === 'user-pass-verify' || type === undefined) set('password', facts.password);
  set('session_id', facts.session?.sessionId);
  set('session_state', facts.session?.sessionState);
  set('auth_control_file', facts.authFiles?.control);
  set('auth_pending_file', facts.authFiles?.pending);
  set('auth_failed_reason_file', facts.authFiles?.failedReason);
  if (type === 'client-connect') {
    set('client_connect_config_file', facts.connectFiles?.config);
    set('client_connect_deferred_file', facts.connectFiles?.deferred);
  }
  addAddresses(set, facts);
  set('time_ascii', facts.connected?.localTime);
  set('time_unix', facts.connected?.unixSeconds);
  set('bytes_received', facts.ended?.receivedBytes);
  set('bytes_sent', facts.ended?.sentBytes);
  set('time_duration', facts.ended?.durationSeconds);
  if (type !== undefined) environment.set('script_type', type);
  const { script_type, ...rest } = environment.values(security);
  return type === undefined ? rest : { ...rest, script_type: script_type ?? type };
}

/** The server's own part: what its `up` script sees, with a variable for each socket. */
export function serverBase(up: ScriptEnvironment, listens: readonly ListenOption[]): ScriptEnvironment {
  const base = Object.entries(up).filter(([name]) => !/^(proto|local|local_port)_[0-9]+$/.test(name));
  const sockets = listens.flatMap(({ host, port, proto }, index) => {
    const n = index + 1;
    const local = host === undefined ? [] : [[`local_${n}`, host]];
    return [[`proto_${n}`, proto.transport], ...local, [`local_port_${n}`, port]];
  });
  return Object.fromEntries([...base, ...sockets]);
}

/** All that `tls-crypt-v2-verify` sees. `type`: the first byte of the client key's metadata; the file has the rest. */
export function metadataEnvironment(type: number, file: string): ScriptEnvironment {
  return { script_type: 'tls-crypt-v2-verify', metadata_type: String(type), metadata_file: file };
}

/** All that `learn-address delete` sees: no client is behind it any more. */
export const DELETED_ADDRESS_ENVIRONMENT: ScriptEnvironment = { script_type: 'learn-address' };

/** The words after those of `learn-address` itself; a deleted address has no name. */
export function learnAddressArguments(
  word: 'add' | 'update' | 'delete',
  address: string,
  commonName: string | undefined,
): string[] {
  return word === 'delete' ? [word, address] : [word, address, named(commonName)];
}

/** What `auth-user-pass-verify` via-file finds in its file. */
export function credentialsFileText(username: string, password: string): string {
  return `${username}\n${password}\n`;
}

/** A user name, password, common name or subject as the server takes it: control characters become `_`. */
export function cleanCredential(text: string): string {
  return replaceControls(text, '_');
}

/**
 * The lines of a peer that become variables: names that begin with IV_ or UV_, values in which white space, what is not
 * ASCII, and `$`, `(` and a backtick are `_`. The last of a name counts.
 */
export function peerInfoVariables(peerInfo: string): Map<string, string> {
  const variables = new Map<string, string>();
  const decoder = new TextDecoder('latin1');
  const encoder = new TextEncoder();
  let lines = 0;
  for (const written of peerInfo.split('\n')) {
    const bytes = decoder.decode(encoder.encode(written.replace(/\r+$/, '')));
    for (let at = 0; at < bytes.length; at += PEER_INFO_LINE_BYTES) {
      if (++lines > PEER_INFO_LINES) return variables;
      const match = /^((?:IV|UV)_[A-Za-z0-9_]*)=(.*)$/s.exec(bytes.slice(at, at + PEER_INFO_LINE_BYTES));
      if (match?.[1] !== undefined) variables.set(match[1], (match[2] ?? '').replace(/[^\x21-\x7e]|[$(`]/g, '_'));
    }
  }
  return variables;
}

function addAddresses(set: (name: string, value: string | number | undefined) => void, facts: ClientScriptFacts): void {
  const { v4, v6 } = facts.addresses ?? {};
  set('ifconfig_pool_remote_ip', v4?.local);
  set(facts.withNetmask ? 'ifconfig_pool_netmask' : 'ifconfig_pool_local_ip', v4?.remoteOrNetmask);
  set('ifconfig_pool_remote_ip6', v6?.local);
  set('ifconfig_pool_local_ip6', v6?.remote);
  set('ifconfig_pool_ip6_netbits', v6?.prefixLength);
}
