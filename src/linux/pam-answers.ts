// What PAM modules are answered, with the client's words or by the pairs of the configuration. Pure. Facts: the
// documentation of OpenVPN's auth-pam plug-in, and what it does.

import { parseStaticResponse } from '../wire/auth-challenge.ts';

/** Styles of a question, as <security/_pam_types.h> numbers them. */
export const PamStyle = { promptEchoOff: 1, promptEchoOn: 2, errorMessage: 3, textInfo: 4 } as const;

export interface PamQuestion {
  readonly style: number;
  readonly text: string;
}

/** What a client said of itself. */
export interface PamLogin {
  readonly username: string;
  /** Of `static-challenge` too: `SCRV1:…`. */
  readonly password: string;
  readonly commonName: string;
}

export interface PamPairs {
  readonly query: string;
  readonly answer: string;
}

/** One answer for each question; undefined for none that is wanted. `'refused'`: there is a question without an answer. */
export function answerQuestions(
  questions: readonly PamQuestion[],
  login: PamLogin,
  pairs: readonly PamPairs[],
): readonly (string | undefined)[] | 'refused' {
  const known = knownValues(login);
  const answers: (string | undefined)[] = [];
  for (const { style, text } of questions) {
    const tells = style === PamStyle.errorMessage || style === PamStyle.textInfo;
    if (!tells && style !== PamStyle.promptEchoOff && style !== PamStyle.promptEchoOn) return 'refused';
    if (tells) answers.push(undefined);
    else if (pairs.length === 0) answers.push(style === PamStyle.promptEchoOff ? known.PASSWORD : known.USERNAME);
    else {
      const pair = pairs.find(({ query }) => matches(text, query));
      if (pair === undefined) return 'refused';
      answers.push(filledIn(pair.answer, known));
    }
  }
  return answers;
}

type Known = Readonly<Record<'USERNAME' | 'PASSWORD' | 'COMMONNAME' | 'OTP', string>>;

function knownValues({ username, password, commonName }: PamLogin): Known {
  const both = parseStaticResponse(password);
  return {
    USERNAME: username,
    PASSWORD: both?.password ?? password,
    COMMONNAME: commonName,
    OTP: both?.response ?? '',
  };
}

/** The question begins with the words, but for what is neither letter nor digit before it. */
function matches(question: string, query: string): boolean {
  const start = question.search(/[A-Za-z0-9]/);
  return start >= 0 && question.slice(start, start + query.length).toLowerCase() === query.toLowerCase();
}

/** The first of the four names that the answer has is replaced, wherever it stands; what a client said is not looked at again. */
function filledIn(answer: string, known: Known): string {
  for (const [name, value] of Object.entries(known))
    if (answer.includes(name)) return answer.replaceAll(name, () => value);
  return answer;
}
