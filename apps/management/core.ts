// The management interface without its socket: what is kept over its clients (histories, hold, questions), what belongs
// to the one that is connected, and the output. Pure: time comes with the ports. Commands are in commands.ts.
//
// Formats observed with OpenVPN 2.6.14 and 2.7: lines end in CR LF; `>KIND:text` at any time, `SUCCESS: …` or `ERROR: …`
// as an answer, `END` after several lines.

import { History } from './history.ts';
import type { ManagementSettings } from './settings.ts';
import { withinSignal } from './within-signal.ts';

export const MANAGEMENT_VERSION = 6;
const ECHO_ENTRIES = 100;
const STATE_ENTRIES = 100;
const PASSWORD_TRIES = 3;
/** What a peer may have put into a text must not begin a line of its own. */
const OTHER_LINES = /[\0\r\n]/g;

/** What the core does to the connection that its client has. */
export interface ManagementOutput {
  /** One or several whole lines. */
  send(text: string): void;
  /** Ends the connection once everything is sent. */
  halt(): void;
}

export interface CorePorts {
  unixSeconds(): number;
  /** Whether two texts are the same, in a time that does not depend on where they differ. */
  sameSecret(a: string, b: string): boolean;
  log(text: string, kind: 'info' | 'warning'): void;
}

interface LogEntry {
  readonly unixSeconds: number;
  readonly flags: string;
  readonly text: string;
}

/** A question that waits for its answer. */
export interface Question {
  readonly mode: 'user-pass' | 'password' | 'username' | 'need-ok' | 'need-str';
  readonly type: string;
  username: string;
  password: string | undefined;
  resolve(): void;
}

/** A question whose answer is a command with lines behind it. */
interface LineQuestion {
  readonly kind: 'signature' | 'certificate';
  /** The command is there, its lines follow. */
  begin(): void;
  resolve(lines: readonly string[]): void;
}

/** What belongs to the client that is connected. */
export interface Connection {
  readonly output: ManagementOutput;
  logOn: boolean;
  stateOn: boolean;
  echoOn: boolean;
  verified: boolean;
  tries: number;
  clientVersion: number;
  envFilter: number;
  /** An answer that is being made: the next line waits for it. */
  busy: Promise<unknown> | undefined;
  /** Lines after a command that takes several, and what happens at their END. */
  extra: Extra | undefined;
  /** It has ended: what it sent in the same breath is not obeyed. */
  halted: boolean;
}

interface Extra {
  readonly lines: string[];
  readonly done: (lines: readonly string[]) => void;
  /** A line is missing. */
  spoilt?: boolean;
}

export class ManagementCore {
  readonly settings: ManagementSettings;
  readonly ports: CorePorts;
  readonly logHistory: History<LogEntry>;
  readonly echoHistory = new History<string>(ECHO_ENTRIES);
  readonly stateHistory = new History<string>(STATE_ENTRIES);
  connection: Connection | undefined;
  holdFlag: boolean;
  question: Question | undefined;
  /** The last hold was ended by a signal, not by its release. */
  heldToTheEnd = false;
  /** While a hold waits, restarts are not taken. */
  ignoresRestarts = false;
  bytecountSeconds = 0;
  readonly #password: string | undefined;
  /** A new client is told what is waited for. */
  readonly #waitedFor = new Set<{ readonly message: string }>();
  #released = false;
  #release: (() => void) | undefined;
  #steering: ((words: readonly string[]) => boolean) | undefined;
  #lineQuestion: LineQuestion | undefined;

  constructor(settings: ManagementSettings, password: string | undefined, ports: CorePorts) {
    this.settings = settings;
    this.ports = ports;
    this.#password = password;
    this.holdFlag = settings.hold;
    this.logHistory = new History(settings.logLines);
  }

  get passwordNeeded(): boolean {
    return this.#password !== undefined && this.connection?.verified !== true;
  }

  connected(output: ManagementOutput): void {
    const connection: Connection = {
      output: {
        send: (text) => output.send(text),
        halt() {
          connection.halted = true;
          output.halt();
        },
      },
      halted: false,
      logOn: false,
      stateOn: false,
      echoOn: false,
      verified: false,
      tries: 0,
      clientVersion: 1,
      envFilter: 0,
      busy: undefined,
      extra: undefined,
    };
    this.connection = connection;
    if (this.passwordNeeded) output.send('ENTER PASSWORD:');
    else this.#welcome();
  }

  /** Returns whether the client was one that had proven itself. */
  disconnected(): boolean {
    const proven = this.connection !== undefined && !this.passwordNeeded;
    this.connection = undefined;
    this.bytecountSeconds = 0;
    return proven;
  }

  checkPassword(line: string): void {
    const { connection } = this;
    if (connection === undefined) return;
    if (this.ports.sameSecret(line, this.#password ?? '')) {
      connection.verified = true;
      this.say('SUCCESS: password is correct');
      this.#welcome();
      return;
    }
    connection.output.send('ERROR: bad password\r\n');
    if (++connection.tries >= PASSWORD_TRIES) {
      this.ports.log(`MAN: client connection rejected after ${PASSWORD_TRIES} failed password attempts`, 'warning');
      connection.output.halt();
    } else connection.output.send('ENTER PASSWORD:');
  }

  /** Lines to the client, if one is there that may see them. */
  say(...lines: readonly string[]): void {
    if (this.connection === undefined || this.passwordNeeded || lines.length === 0) return;
    this.connection.output.send(lines.map((line) => `${line.replace(OTHER_LINES, '_')}\r\n`).join(''));
  }

  /** A line of the program's log. A fatal one is the last thing that a client hears. */
  logged(unixSeconds: number, flags: string, text: string): void {
    this.logHistory.add({ unixSeconds, flags, text });
    if (this.connection?.logOn === true) this.say(`>LOG:${unixSeconds},${flags},${text}`);
    if (flags === 'F' && this.connection !== undefined && !this.passwordNeeded) {
      this.say(`>FATAL:${text}`);
      this.connection.output.halt();
    }
  }

  /** `fields`: all after the state's name. */
  state(name: string, detail = '', fields = ',,,,'): void {
    const text = `${this.ports.unixSeconds()},${name},${detail},${fields}`;
    this.stateHistory.add(text);
    if (this.connection?.stateOn !== true) return;
    this.say(`>STATE:${text}`);
    this.ports.log(`MANAGEMENT: >STATE:${text}`, 'info');
  }

  echo(text: string): void {
    const entry = `${this.ports.unixSeconds()},${text}`;
    this.echoHistory.add(entry);
    if (this.connection?.echoOn === true) this.say(`>ECHO:${entry}`);
  }

  /** Asks, and waits for a whole answer. Rejects when the signal fires. */
  async ask(
    mode: Question['mode'],
    type: string,
    more: string,
    signal: AbortSignal,
  ): Promise<{ readonly username: string; readonly password: string }> {
    const asked = mode === 'username' && (this.connection?.clientVersion ?? 1) < 4 ? 'user-pass' : mode;
    const [kind, what] = PROMPTS[asked];
    if (this.connection === undefined) {
      this.ports.log('Need password(s) from management interface, waiting...', 'info');
    }
    const answer = await this.#wait(`>${kind}:Need '${type}' ${what}${more}`, signal, (resolve) => {
      const question: Question = {
        mode: asked,
        type,
        username: '',
        password: undefined,
        resolve: () => resolve(question),
      };
      this.question = question;
    }).finally(() => {
      this.question = undefined;
    });
    const { username, password = '' } = answer as Question;
    return { username, password };
  }

  /**
   * Says `message` and waits for the lines of the command that answers it. `command`: as its success is told. Rejects when
   * the signal fires.
   */
  async askLines(
    kind: LineQuestion['kind'],
    message: string,
    command: string,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    if (this.connection === undefined) {
      this.ports.log(`Need ${kind} from management interface, waiting...`, 'info');
    }
    let begun = false;
    try {
      const lines = await this.#wait(message, signal, (resolve) => {
        this.#lineQuestion = {
          kind,
          begin: () => {
            begun = true;
          },
          resolve,
        };
      });
      this.say(`SUCCESS: ${command} command succeeded`);
      return lines as readonly string[];
    } catch (error) {
      if (begun && this.connection !== undefined) {
        this.connection.extra = undefined;
        this.say(`ERROR: ${command} command failed`);
      }
      throw error;
    } finally {
      this.#lineQuestion = undefined;
    }
  }

  /** The lines of an answer follow; false where nobody asked for it. */
  beginLines(kind: LineQuestion['kind']): boolean {
    const question = this.#lineQuestion;
    if (this.connection === undefined || question?.kind !== kind) return false;
    question.begin();
    this.connection.extra = { lines: [], done: (lines) => question.resolve(lines) };
    return true;
  }

  /** The flag is set and nobody has released it since the last start. */
  get wouldHold(): boolean {
    return this.holdFlag && !this.#released;
  }

  /** Waits for `hold release`; true when it was waited for. Rejects when the signal fires. */
  async hold(pauseSeconds: number, signal: AbortSignal): Promise<boolean> {
    if (!this.wouldHold) return false;
    this.ignoresRestarts = true;
    this.heldToTheEnd = true;
    if (this.connection === undefined) {
      this.ports.log('Need hold release from management interface, waiting...', 'info');
    }
    try {
      await this.#wait(`>HOLD:Waiting for hold release:${pauseSeconds}`, signal, (resolve) => {
        this.#release = () => resolve(undefined);
      });
      this.heldToTheEnd = false;
      return true;
    } finally {
      this.ignoresRestarts = false;
      this.#release = undefined;
    }
  }

  release(): void {
    this.#released = true;
    this.#release?.();
  }

  /** A run of the tunnel is over: the next one holds again. */
  forgetRelease(): void {
    this.#released = false;
  }

  /** Says what is asked about a remote, and gives each answer to `take` until it takes one. */
  async steer<T>(message: string, signal: AbortSignal, take: (words: readonly string[]) => T | undefined): Promise<T> {
    const answer = await this.#wait(message, signal, (resolve) => {
      this.#steering = (words) => {
        const taken = take(words);
        if (taken !== undefined) resolve(taken);
        return taken !== undefined;
      };
    }).finally(() => {
      this.#steering = undefined;
    });
    return answer as T;
  }

  /** `remote …` or `proxy …`; false where nothing is asked, or something else. */
  steered(words: readonly string[]): boolean {
    return this.#steering?.(words) ?? false;
  }

  /** What is waited for, for a client that asks for what it can't have now. */
  repeatSpecial(): void {
    this.say(...[...this.#waitedFor].map(({ message }) => message));
  }

  async #wait(message: string, signal: AbortSignal, begin: (resolve: (value: unknown) => void) => void) {
    signal.throwIfAborted();
    const waitedFor = { message };
    this.#waitedFor.add(waitedFor);
    this.say(message);
    try {
      return await withinSignal(signal, begin);
    } finally {
      this.#waitedFor.delete(waitedFor);
    }
  }

  #welcome(): void {
    this.say(`>INFO:OpenVPN Management Interface Version ${MANAGEMENT_VERSION} -- type 'help' for more info`);
    this.repeatSpecial();
  }
}

const PROMPTS = {
  'user-pass': ['PASSWORD', 'username/password'],
  password: ['PASSWORD', 'password'],
  username: ['PASSWORD', 'username'],
  'need-ok': ['NEED-OK', 'confirmation'],
  'need-str': ['NEED-STR', 'string'],
} as const;
