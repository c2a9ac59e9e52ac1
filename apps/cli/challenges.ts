// Questions beside username and password, and addresses to log in at: shown and asked on the terminal.

import {
  type Challenge,
  type ChallengePort,
  createTerminal,
  prompts,
  reachablePerson,
  SallyportError,
  type TerminalPort,
  type WebLogin,
} from '../../src/command.ts';

/** Takes what a daemon's parent asked before; it is there once. */
type TakeResponse = () => string | undefined;

/** The person at the terminal; undefined where there is none. `takeStatic`: where a parent asked the static challenge. */
export function terminalChallenges(
  takeStatic: TakeResponse | undefined,
  follower?: TerminalPort | undefined,
): ChallengePort | undefined {
  if (follower !== undefined) return askedPerson(true, takeStatic, follower);
  const person = reachablePerson();
  if (person !== undefined) return askedPerson(person === 'terminal', takeStatic, createTerminal());
  if (takeStatic === undefined) return undefined;
  return {
    async respond({ kind, text }) {
      // Whatever is asked first, the answer is not there for a second question.
      const response = takeStatic();
      if (kind === 'static' && response !== undefined) return response;
      throw new SallyportError(`"${text}" is asked, and there is no terminal to ask on`, {
        code: 'SALLYPORT_CREDENTIALS',
        blame: 'config',
        hint: 'Start the program on a terminal, without daemon.',
      });
    },
    webLogin: undefined,
    announced: [],
    ignoresAuthRetry: false,
  };
}

/** `seesLines`: more than questions can be shown. */
function askedPerson(seesLines: boolean, takeStatic: TakeResponse | undefined, terminal: TerminalPort): ChallengePort {
  const showLogin = async ({ url, secondsLeft }: WebLogin): Promise<void> => {
    terminal.tell(`Log in at this address to go on: ${url}`);
    if (secondsLeft !== undefined) terminal.tell(`The server waits for it until ${clockTime(secondsLeft)}.`);
  };
  return {
    async respond({ kind, text, echo, responseRequired, secondsLeft }: Challenge, signal) {
      const handed = kind === 'static' ? takeStatic?.() : undefined;
      if (handed !== undefined) return handed;
      const question = prompts.challenge(text, echo);
      if (!responseRequired) {
        terminal.tell(question.prompt);
        return '';
      }
      if (secondsLeft !== undefined) terminal.tell(`The server waits for an answer until ${clockTime(secondsLeft)}.`);
      return terminal.ask(question, signal);
    },
    webLogin: seesLines ? showLogin : undefined,
    announced: seesLines ? ['openurl', 'webauth', 'crtext'] : ['crtext'],
    ignoresAuthRetry: false,
  };
}

/** `21:45:10 (300 s from now)`. */
function clockTime(secondsLeft: number): string {
  const at = new Date(Date.now() + secondsLeft * 1000).toTimeString().slice(0, 8);
  return `${at} (${Math.round(secondsLeft)} s from now)`;
}
