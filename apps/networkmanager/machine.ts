// The states of the service over the life of one connection, as NetworkManager sees them. Synchronous, without bus, process
// or clock: `handleX` takes what happens, `pollEffects` gives what is to be done about it, in its order.
//
//   init ──connect──▶ starting ──up──▶ started ──┐        a question that nobody has answered yet leads from started back
//     └───────────────────┴── end ──▶ stopped ◀──┘        to starting, where NetworkManager lets somebody be asked again
//
// One Failure at most, then StateChanged 5 and 6. NetworkManager has a time limit of its own, which it words best: ours
// comes a little later, and tells a reason of another kind a little earlier.

import { type ClientProblem, Failure, failureOf, isFinal } from './failure.ts';
import type { IpConfig } from './ip-config.ts';
import { PluginError } from './plugin-error.ts';
import type { Answer, Question, SecretStore, SecretsRequest } from './secrets.ts';

/** NMVpnServiceState. */
export const ServiceState = { init: 1, starting: 3, started: 4, stopping: 5, stopped: 6 } as const;
export type ServiceState = (typeof ServiceState)[keyof typeof ServiceState];

export type Effect =
  | { readonly kind: 'state'; readonly state: ServiceState }
  | { readonly kind: 'failure'; readonly reason: Failure }
  | { readonly kind: 'secrets'; readonly request: SecretsRequest }
  | { readonly kind: 'config'; readonly config: IpConfig }
  | { readonly kind: 'banner'; readonly text: string }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'stop-client' }
  | { readonly kind: 'quit' }
  | { readonly kind: 'log'; readonly level: 'notice' | 'warning'; readonly text: string };

/** NetworkManager's own limit where the connection has none. */
const CONNECT_SECONDS = 60;
const EARLIER_MS = 1000;
const LATER_MS = 2000;
/** Nobody has used the service for so long: it ends. */
const IDLE_MS = 180_000;

export interface MachineOptions {
  /** Stays after a connection, and without one. */
  readonly persist: boolean;
}

export interface StartOptions {
  readonly secrets: SecretStore;
  /** Questions may reach somebody. */
  readonly interactive: boolean;
  readonly timeoutSeconds: number | undefined;
  /** How many servers there are to try. */
  readonly remotes: number;
}

export class ServiceMachine {
  readonly #options: MachineOptions;
  #state: ServiceState = ServiceState.init;
  #effects: Effect[] = [];
  #start: StartOptions | undefined;
  #pending: { readonly id: number; readonly question: Question } | undefined;
  #told: string | undefined;
  #lastProblem: ClientProblem | undefined;
  #finalInARow = 0;
  /** What somebody was asked for. */
  readonly #asked = new Set<string>();
  #idleAtMs: number | undefined;
  #connectByMs: number | undefined;

  constructor(options: MachineOptions, nowMs: number) {
    this.#options = options;
    this.#idleAtMs = options.persist ? undefined : nowMs + IDLE_MS;
  }

  get state(): ServiceState {
    return this.#state;
  }

  pollEffects(): readonly Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** When `handleTime` wants to be called; undefined: not before something else happens. */
  get deadlineMs(): number | undefined {
    if (this.#idleAtMs !== undefined) return this.#idleAtMs;
    if (this.#connectByMs === undefined) return undefined;
    return this.#connectByMs + (this.#reasonBeforeTime() ? -EARLIER_MS : LATER_MS);
  }

  /** Throws PluginError where no connection can begin now. */
  handleConnect(start: StartOptions, nowMs: number): void {
    if (this.#isRunning) {
      throw new PluginError('WrongState', `A connection is ${this.#state === 3 ? 'being made' : 'up'} already`);
    }
    this.#start = start;
    this.#pending = undefined;
    this.#told = undefined;
    this.#lastProblem = undefined;
    this.#finalInARow = 0;
    this.#asked.clear();
    this.#idleAtMs = undefined;
    this.#enter(ServiceState.starting);
    this.#waitFrom(nowMs);
  }

  /** What Connect was given can't be used: the caller has the reason. */
  handleRefused(): void {
    if (this.#state === ServiceState.starting) this.#enter(ServiceState.stopping);
    if (this.#state === ServiceState.started) return;
    this.#enterStopped();
  }

  /** Throws PluginError where there is nothing to disconnect. */
  handleDisconnect(): void {
    if (this.#state === ServiceState.stopped) throw new PluginError('AlreadyStopped', 'No connection is there');
    this.stop();
  }

  /** Throws PluginError where nobody has asked. */
  handleNewSecrets(secrets: ReadonlyMap<string, string>, username: string | undefined, nowMs: number): void {
    const { store, pending } = { store: this.#start?.secrets, pending: this.#pending };
    if (!this.#isRunning || store === undefined || pending === undefined) {
      throw new PluginError('WrongState', 'No secrets were asked for');
    }
    this.#pending = undefined;
    store.take(secrets, username, pending.question);
    this.#waitFrom(nowMs);
    this.#answerOrAsk(pending.id, pending.question, true);
  }

  /** The client wants to know. */
  handleQuestion(id: number, question: Question): void {
    if (this.#isRunning) this.#answerOrAsk(id, question, false);
  }

  /** The client does not want to know any more. */
  handleWithdrawn(id: number, nowMs: number): void {
    if (this.#pending?.id !== id) return;
    this.#pending = undefined;
    this.#waitFrom(nowMs);
  }

  /** What was answered to the question was wrong. */
  handleRefusedAnswer(question: Exclude<Question, { kind: 'challenge' }>): void {
    this.#start?.secrets.refuse(question);
  }

  handleUp(config: IpConfig): void {
    if (!this.#isRunning) return;
    this.#start?.secrets.accept();
    this.#asked.clear();
    this.#lastProblem = undefined;
    this.#finalInARow = 0;
    const text = JSON.stringify(config, (_, value) => (value instanceof Uint8Array ? [...value] : value));
    if (this.#state === ServiceState.started && this.#told === text) return;
    this.#told = text;
    this.#connectByMs = undefined;
    this.#effects.push({ kind: 'config', config });
    if (this.#state !== ServiceState.started) this.#enter(ServiceState.started);
  }

  handleBanner(text: string): void {
    if (this.#isRunning) this.#effects.push({ kind: 'banner', text });
  }

  /** An attempt has failed; the client goes on to the next. */
  handleAttemptFailed(problem: ClientProblem): void {
    if (!this.#isRunning) return;
    this.#lastProblem = problem;
    this.#finalInARow = isFinal(problem) ? this.#finalInARow + 1 : 0;
    const everywhere = this.#finalInARow >= (this.#start?.remotes ?? 1);
    if (this.#state === ServiceState.starting && everywhere) this.fail(failureOf(problem), problem);
  }

  /** The client has ended, or was killed (`problem` says so). */
  handleClientEnd(problem: ClientProblem | undefined): void {
    if (!this.#isRunning) return;
    if (problem === undefined) this.stop();
    else this.fail(failureOf(problem), problem);
  }

  handleTime(nowMs: number): void {
    const { deadlineMs } = this;
    if (deadlineMs === undefined || nowMs < deadlineMs) return;
    if (this.#idleAtMs !== undefined) {
      this.#idleAtMs = undefined;
      this.#say('notice', 'nobody has asked for a connection, the service ends');
      this.#effects.push({ kind: 'quit' });
      return;
    }
    const problem = this.#lastProblem;
    const { timeoutSeconds = CONNECT_SECONDS } = this.#start ?? {};
    this.fail(
      problem === undefined ? Failure.connectFailed : failureOf(problem),
      problem ?? {
        ...{ code: 'SALLYPORT_TIMEOUT', message: `The tunnel is not up after ${timeoutSeconds} seconds` },
        ...{ hint: undefined, retry: true },
      },
    );
  }

  /** One Failure, and the end. */
  fail(reason: Failure, problem: Pick<ClientProblem, 'message' | 'hint'>): void {
    if (!this.#isRunning) return;
    this.#say('warning', problem.message);
    if (problem.hint !== undefined) this.#say('warning', `  ${problem.hint}`);
    this.#effects.push({ kind: 'failure', reason });
    this.stop();
  }

  /** The end, without a failure: asked for, or whoever asked for the connection is gone. */
  stop(): void {
    if (this.#state === ServiceState.stopped) return;
    if (this.#isRunning) this.#enter(ServiceState.stopping);
    this.#enterStopped();
  }

  get #isRunning(): boolean {
    return this.#state === ServiceState.starting || this.#state === ServiceState.started;
  }

  #answerOrAsk(id: number, question: Question, wasAsked: boolean): void {
    const { secrets, interactive } = this.#start ?? {};
    if (secrets === undefined) return;
    const again = secrets.isRefusedAgain(question);
    const answer = secrets.answer(question);
    if (answer !== undefined) {
      this.#effects.push({ kind: 'answer', id, answer });
      return;
    }
    if (interactive !== true) {
      const message = again ? 'The login was refused' : 'A secret is missing that the connection does not have';
      this.fail(Failure.loginFailed, { message, hint: 'Nobody can be asked for it now.' });
      return;
    }
    const what = question.kind === 'login' ? question.of : question.kind;
    if (again && this.#asked.has(what)) {
      const message = 'The login was refused, and whoever was asked again gave the same answer';
      this.fail(Failure.loginFailed, { message, hint: undefined });
      return;
    }
    const request = secrets.request(question);
    if (wasAsked && !again) {
      // Who does not know of a name that is asked for would be asked for ever: nmcli knows of no user names.
      const message = `What was asked for was not entered (${request.hints.join(', ')})`;
      const nameless = request.hints.some((hint) => hint.endsWith('username'));
      const hint = nameless ? 'A user name can be set in vpn.data of the connection.' : undefined;
      this.fail(Failure.loginFailed, { message, hint });
      return;
    }
    this.#asked.add(what);
    // From activated NetworkManager lets nobody be asked; from here it does.
    if (this.#state === ServiceState.started) this.#enter(ServiceState.starting);
    this.#pending = { id, question };
    this.#connectByMs = undefined;
    this.#effects.push({ kind: 'secrets', request });
  }

  /** Whether what was seen tells more than that time is over. */
  #reasonBeforeTime(): boolean {
    const code = this.#lastProblem?.code;
    return code !== undefined && !['SALLYPORT_NO_ANSWER', 'SALLYPORT_REFUSED', 'SALLYPORT_NETWORK'].includes(code);
  }

  #waitFrom(nowMs: number): void {
    if (this.#state !== ServiceState.starting) return;
    this.#connectByMs = nowMs + (this.#start?.timeoutSeconds ?? CONNECT_SECONDS) * 1000;
  }

  #enter(state: ServiceState): void {
    this.#state = state;
    this.#effects.push({ kind: 'state', state });
  }

  #enterStopped(): void {
    this.#enter(ServiceState.stopped);
    this.#pending = undefined;
    this.#connectByMs = undefined;
    this.#idleAtMs = undefined;
    this.#effects.push({ kind: 'stop-client' });
    if (!this.#options.persist) this.#effects.push({ kind: 'quit' });
  }

  #say(level: 'notice' | 'warning', text: string): void {
    this.#effects.push({ kind: 'log', level, text });
  }
}
