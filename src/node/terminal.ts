// Asking a person: on the controlling terminal, without echo for secrets; without a terminal by systemd-ask-password
// where systemd runs, as C does.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { SallyportError } from '../error.ts';

export interface Question {
  /** Without the colon: `Enter Auth Username` is printed as `Enter Auth Username:`. */
  readonly prompt: string;
  /** Whether what is typed is shown. */
  readonly echo: boolean;
  /** Stands between prompt and answer; a colon without it. */
  readonly suffix?: string;
}

/** The questions of the C program. `prefix` is `Auth`, `Private Key`, `HTTP Proxy` … */
export const prompts = {
  username: (prefix: string): Question => ({ prompt: `Enter ${prefix} Username`, echo: true }),
  password: (prefix: string): Question => ({ prompt: `Enter ${prefix} Password`, echo: false }),
  challenge: (text: string, echo: boolean): Question => ({ prompt: `CHALLENGE: ${text}`, echo, suffix: ' ' }),
} as const;

export interface TerminalPort {
  /** Rejects when nobody can be asked, on Ctrl-C, and when aborted. */
  ask(question: Question, signal: AbortSignal): Promise<string>;
  /** Shows a line where there is a terminal, without control characters. */
  tell(text: string): void;
}

/** How a person can be reached: on a terminal, with questions alone (systemd), or not at all. */
export function reachablePerson(): 'terminal' | 'questions' | undefined {
  const tty = openTty();
  if (tty !== undefined) closeSync(tty);
  if (tty !== undefined) return 'terminal';
  return systemdHelper() === undefined ? undefined : 'questions';
}

const MAX_ANSWER = 4095;
const SYSTEMD_ASK_PASSWORD = ['/usr/bin/systemd-ask-password', '/bin/systemd-ask-password'];

/** The person at /dev/tty. */
export function createTerminal(): TerminalPort {
  return {
    async ask({ prompt, echo, suffix = ':' }, signal) {
      if (signal.aborted) throw interrupted();
      const clean = `${cleaned(prompt)}${suffix}`;
      const tty = openTty();
      if (tty !== undefined) return await askTty(tty, clean, echo, signal);
      const helper = systemdHelper();
      if (helper !== undefined) return await askSystemd(helper, clean, echo, signal);
      throw new SallyportError(
        `neither stdin nor stderr are a tty device and you have neither a controlling tty nor systemd - can't ask for '${clean.trimEnd()}'`,
        {
          code: 'SALLYPORT_CONFIG',
          blame: 'config',
          hint: 'put the answer into a file: auth-user-pass FILE for user name and password, askpass FILE for the passphrase of a key',
        },
      );
    },
    tell(text) {
      const tty = openTty();
      if (tty === undefined) return;
      try {
        writeSync(tty, `${cleaned(text)}\n`);
      } catch {
        // A terminal that went away has nobody to read it.
      } finally {
        closeSync(tty);
      }
    },
  };
}

/** Text from a file, a profile or a command line, with nothing in it that steers a terminal or turns its text round. */
export const cleanTerminalText = (text: string): string =>
  text.replace(/[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '_');

const cleaned = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]/g, '_');

const systemdHelper = (): string | undefined =>
  existsSync('/run/systemd/system') ? SYSTEMD_ASK_PASSWORD.find(existsSync) : undefined;

function openTty(): number | undefined {
  try {
    return openSync('/dev/tty', 'r+');
  } catch {
    return undefined;
  }
}

async function askTty(fd: number, prompt: string, echo: boolean, signal: AbortSignal): Promise<string> {
  const { ReadStream } = await import('node:tty');
  const input = new ReadStream(fd);
  const isOurs = (readsFrom(input) ?? fd) !== fd;
  const print = (text: string): void => {
    try {
      writeSync(fd, text);
    } catch {
      // A terminal that went away has nobody to read the prompt.
    }
  };
  try {
    input.setRawMode(true);
    print(prompt);
    return await new Promise<string>((resolve, reject) => {
      const editor = createLineEditor(echo ? print : () => {});
      input.on('data', (bytes: Buffer) => {
        const state = editor.feed(bytes);
        if (state === 'done') resolve(editor.text());
        else if (state === 'interrupted') reject(interrupted());
      });
      input.on('error', reject);
      input.on('end', () => reject(interrupted()));
      signal.addEventListener('abort', () => reject(interrupted()), { once: true });
    });
  } finally {
    print('\r\n');
    input.setRawMode(false);
    input.removeAllListeners();
    input.on('error', () => {});
    input.destroy();
    if (isOurs) closeSync(fd);
  }
}

/**
 * The descriptor that a stream reads from and closes when it is destroyed. libuv opens a terminal anew where it can, to
 * have it non-blocking without others noticing; then the descriptor it was given stays its giver's. Closing that one
 * where it is the stream's would hit whoever has got its number meanwhile.
 */
function readsFrom(stream: object): number | undefined {
  return (stream as { _handle?: { fd?: number } })._handle?.fd;
}

export interface LineEditor {
  feed(bytes: Uint8Array): 'more' | 'done' | 'interrupted';
  text(): string;
}

/** What a terminal in raw mode leaves to its reader: end of line, backspace, Ctrl-U, Ctrl-C and Ctrl-D. */
export function createLineEditor(print: (text: string) => void): LineEditor {
  const decoder = new StringDecoder('utf8');
  const typed: string[] = [];
  const erase = (): void => {
    if (typed.pop() !== undefined) print('\b \b');
  };
  return {
    feed(bytes) {
      for (const character of decoder.write(Buffer.from(bytes))) {
        if (character === '\r' || character === '\n') return 'done';
        if (character === '\x03') return 'interrupted';
        if (character === '\x04') return typed.length === 0 ? 'interrupted' : 'done';
        if (character === '\x7f' || character === '\b') erase();
        else if (character === '\x15') while (typed.length > 0) erase();
        else if (character >= ' ' && typed.length < MAX_ANSWER) {
          typed.push(character);
          print(character);
        }
      }
      return 'more';
    },
    text: () => typed.join(''),
  };
}

function askSystemd(program: string, prompt: string, echo: boolean, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = [...(echo ? ['--echo'] : []), '--icon=network-vpn', '--timeout=0', prompt];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let answer = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      answer = (answer + text).slice(0, MAX_ANSWER + 2);
    });
    const onAbort = (): void => {
      child.kill();
      reject(interrupted());
    };
    signal.addEventListener('abort', onAbort, { once: true });
    child.on('error', reject);
    child.on('close', (code) => {
      signal.removeEventListener('abort', onAbort);
      if (code === 0) resolve(answer.replace(/[\r\n]+$/, ''));
      else reject(interrupted());
    });
  });
}

const interrupted = (): SallyportError =>
  new SallyportError('the question was not answered', { code: 'SALLYPORT_ABORTED', blame: 'config' });
