// A client under management: what it does becomes states and messages, what it asks goes to the management client.

import {
  type Challenge,
  type ChallengePort,
  type ClientSignal,
  type ClientState,
  type ConnectionProfile,
  type CredentialsPort,
  type ExternalSigner,
  FATAL,
  formatAddress,
  type SocketAddress,
  type Steering,
  type TunnelPlan,
} from '../../src/command.ts';
import { integerOf } from './commands.ts';
import type { ManagementCore } from './core.ts';
import { type ExternalKeyFlag, signingQuestion } from './external-key.ts';
import { withinSignal } from './within-signal.ts';

/** What a client tells while it runs. */
export function clientObserver(core: ManagementCore, environment: () => Readonly<Record<string, string>>) {
  let up = false;
  let transport: 'udp' | 'tcp' = 'udp';
  return {
    /** The transport of the attempt that begins. */
    begins(profile: ConnectionProfile): void {
      transport = profile.proto.transport === 'udp' ? 'udp' : 'tcp';
    },
    state(state: ClientState): void {
      switch (state.phase) {
        case 'resolving':
          // A literal address is not looked up.
          if (!/^[\d.]+$|:/.test(state.host)) core.state('RESOLVE');
          return;
        case 'connecting':
          if (transport === 'tcp') core.state('TCP_CONNECT');
          core.state('WAIT');
          return;
        case 'authenticating':
          core.state('AUTH');
          return;
        case 'login-pending':
          if (state.needs === 'nothing' && state.secondsLeft !== undefined) {
            core.state('AUTH_PENDING', `timeout ${Math.round(state.secondsLeft)}`);
          }
          return;
        case 'connected':
          core.state('CONNECTED', 'SUCCESS', connectedFields(state.plan, state.remote));
          up = true;
          upDown(core, 'UP', environment());
          return;
        case 'configuring':
        case 'reconnecting':
        case 'ended':
          return;
        default:
          state satisfies never;
      }
    },
    peerConnected: (): void => core.state('GET_CONFIG'),
    info(kind: string, text: string): void {
      if (kind === 'info' || kind === 'info-pre') core.say(`>INFOMSG:${text}`);
    },
    assigned(plan: TunnelPlan): void {
      const { address4, address6 } = plan;
      core.state('ASSIGN_IP', '', `${address4?.local ?? ''},,,,${address6 === undefined ? '' : `,${address6.local}`}`);
      const isRoute = ({ prefix, origin }: TunnelPlan['routes'][number]): boolean =>
        !prefix.includes(':') && (origin === 'server' || origin === 'client');
      if (plan.routes.some(isRoute)) core.state('ADD_ROUTES');
    },
    echo: (text: string): void => core.echo(text),
    loginRefused(reason: string): void {
      core.say(`>PASSWORD:Verification Failed: 'Auth'${reason === '' ? '' : ` ['${reason}']`}`);
    },
    authToken: (token: string): void => core.say(`>PASSWORD:Auth-Token:${token}`),
    signalled({ name, text, told }: ClientSignal): void {
      if (up) upDown(core, 'DOWN', environment());
      up = false;
      core.forgetRelease();
      // The other end has said that it ends this: EXIT, RESTART or HALT.
      if (told !== undefined) core.say(`>NOTIFY:info,${text},${told}`);
      const restarts = name === 'SIGUSR1' || name === 'SIGHUP';
      const said = text === '' && core.heldToTheEnd ? 'init_instance' : text;
      if (text !== FATAL) core.state(restarts ? 'RECONNECTING' : 'EXITING', said === '' ? name : said);
    },
  };
}

function upDown(core: ManagementCore, which: 'UP' | 'DOWN', environment: Readonly<Record<string, string>>): void {
  if (!core.settings.upDown) return;
  const lines = Object.entries(environment).map(([name, value]) => `>UPDOWN:ENV,${name}=${value}`);
  core.say(`>UPDOWN:${which}`, ...lines, '>UPDOWN:ENV,END');
}

/** `10.8.0.2,192.0.2.1,1194,,,fd00::2`: in the tunnel, the server's, ours where it is known, IPv6 in the tunnel. */
function connectedFields({ address4, address6 }: TunnelPlan, remote: SocketAddress): string {
  const six = address6 === undefined ? '' : `,${address6.local}`;
  return `${address4?.local ?? ''},${formatAddress(remote.address)},${remote.port},,${six}`;
}

/** Asks the management client for logins. */
export function managedCredentials(
  core: ManagementCore,
  staticChallenge: { readonly text: string; readonly echo: boolean; readonly format: string } | undefined,
  usernameOnly: boolean,
): Pick<CredentialsPort, 'ask' | 'answersChallenges'> {
  const challenge =
    staticChallenge === undefined
      ? ''
      : ` SC:${(staticChallenge.echo ? 1 : 0) | (staticChallenge.format === 'concat' ? 2 : 0)},${staticChallenge.text}`;
  return {
    answersChallenges: true,
    // Where a file has the name alone both are asked for, as the C program does: management clients know no other question.
    ask(_known, signal, kind) {
      const isAuth = kind === 'Auth';
      const mode = isAuth && usernameOnly ? 'username' : 'user-pass';
      return core.ask(mode, kind, isAuth && mode === 'user-pass' ? challenge : '', signal);
    },
  };
}

/** Questions of a pending login are told as >INFOMSG by the observer; their answer comes as `cr-response`. */
export class ManagedChallenges implements ChallengePort {
  readonly announced = [] as const;
  readonly ignoresAuthRetry = false;
  #answer: ((response: string) => void) | undefined;

  readonly respond = (challenge: Challenge, signal: AbortSignal): Promise<string> => {
    if (!challenge.responseRequired) return Promise.resolve('');
    return withinSignal<string>(signal, (resolve) => {
      this.#answer = resolve;
    }).finally(() => {
      this.#answer = undefined;
    });
  };

  readonly webLogin = async (): Promise<void> => {};

  /** False where nobody asked, or where it is no base64. */
  handleResponse(base64: string): boolean {
    const answer = this.#answer;
    if (answer === undefined || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return false;
    this.#answer = undefined;
    answer(Buffer.from(base64, 'base64').toString('utf8'));
    return true;
  }
}

/** The certificate in PEM, by the hint of `management-external-cert`. Rejects when the signal fires. */
export async function managedCertificate(core: ManagementCore, hint: string, signal: AbortSignal): Promise<string> {
  const lines = await core.askLines('certificate', `>NEED-CERTIFICATE:${hint}`, 'certificate', signal);
  return `${lines.join('\n')}\n`;
}

/** Has the management client sign (`management-external-key`). */
export const managedSigner =
  (core: ManagementCore, flags: ReadonlySet<ExternalKeyFlag>): ExternalSigner =>
  async (request, signal) => {
    const question = signingQuestion(request, flags);
    if (question === undefined) {
      core.ports.log(`RSA padding mode not supported by management-client <${request.padding}>`, 'warning');
      throw new Error('no padding that the management client knows');
    }
    const version = core.connection?.clientVersion ?? 1;
    const data = Buffer.from(question.data).toString('base64');
    const message =
      version <= 1 ? `>RSA_SIGN:${data}` : `>PK_SIGN:${data}${version < 3 ? '' : `,${question.algorithm}`}`;
    const lines = await core.askLines('signature', message, version <= 1 ? 'rsa-sign' : 'pk-sign', signal);
    const base64 = lines.join('');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new Error('no base64 from the management client');
    return new Uint8Array(Buffer.from(base64, 'base64'));
  };

/** Holds, and asks about remotes and proxies, where the configuration says so. */
export function managedSteering(core: ManagementCore, begins: (profile: ConnectionProfile) => void): Steering {
  const { queryRemote, queryProxy } = core.settings;
  /** Remotes that are left out unasked: `remote SKIP 3` has answered for them. */
  let skips = 0;
  const choose = async (
    profile: ConnectionProfile,
    index: number,
    signal: AbortSignal,
  ): Promise<ConnectionProfile | undefined> => {
    if (skips > 0) {
      skips--;
      return undefined;
    }
    if (queryRemote) {
      const message = `>REMOTE:${profile.remote ?? ''},${profile.remotePort},${protocolOf(profile)}`;
      const answer = await core.steer(message, signal, (words) => chosenRemote(profile, words));
      if (!('skip' in answer)) return answer;
      skips = answer.skip - 1;
      return undefined;
    }
    if (!queryProxy) return profile;
    const kind = profile.proto.transport === 'udp' ? 'UDP' : 'TCP';
    return core.steer(`>PROXY:${index + 1},${kind},${profile.remote ?? ''}`, signal, (words) =>
      chosenProxy(profile, words),
    );
  };
  return {
    hold: (pauseSeconds, signal) => core.hold(pauseSeconds, signal),
    async choose(profile, index, signal) {
      const chosen = await choose(profile, index, signal);
      if (chosen !== undefined) begins(chosen);
      return chosen;
    },
  };
}

const HOST_LENGTH = 255;
/** There are no more remotes in any profile. */
const MOST_SKIPS = 1000;
const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;

function chosenRemote(
  profile: ConnectionProfile,
  [command, what, host = '', port = '']: readonly string[],
): ConnectionProfile | { readonly skip: number } | undefined {
  if (command !== 'remote') return undefined;
  if (what === 'ACCEPT') return profile;
  if (what === 'SKIP') return { skip: Math.min(Math.max(1, integerOf(host || '1')), MOST_SKIPS) };
  if (what !== 'MOD' || host === '' || host.length > HOST_LENGTH || !isPort(port)) return undefined;
  return { ...profile, remote: host, remotePort: port };
}

function chosenProxy(
  profile: ConnectionProfile,
  [command, what, host = '', port = '', flag]: readonly string[],
): ConnectionProfile | undefined {
  if (command !== 'proxy') return undefined;
  if (what === 'NONE') return profile;
  if (host === '' || host.length > HOST_LENGTH || !isPort(port)) return undefined;
  if (what === 'SOCKS') return { ...profile, socksProxy: { host, port, login: undefined } };
  if (what !== 'HTTP' || profile.proto.transport === 'udp') return undefined;
  const { httpProxy } = profile;
  const methods = flag === 'nct' ? (['digest'] as const) : (['basic', 'digest'] as const);
  return {
    ...profile,
    httpProxy: {
      host,
      port,
      login: httpProxy?.login ?? { source: undefined },
      methods,
      basicAtOnce: false,
      version: httpProxy?.version ?? '1.0',
      agent: httpProxy?.agent,
      headers: httpProxy?.headers ?? [],
    },
  };
}

/** `udp`, `tcp4-client` … as the C program has it. */
export function protocolOf({ proto }: ConnectionProfile): string {
  const family = proto.family ?? '';
  return proto.transport === 'udp' ? `udp${family}` : proto.transport.replace('tcp', `tcp${family}`);
}
