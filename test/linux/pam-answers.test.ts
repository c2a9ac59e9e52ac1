import { describe, expect, it } from 'vitest';
import { answerQuestions, PamStyle } from '../../src/linux/pam-answers.ts';

const login = { username: 'max', password: 'secret', commonName: 'client' };
const hidden = (text: string) => ({ style: PamStyle.promptEchoOff, text });
const shown = (text: string) => ({ style: PamStyle.promptEchoOn, text });
const told = (text: string) => ({ style: PamStyle.textInfo, text });

describe('without pairs', () => {
  it('what is typed in secret is the password, and what is shown the user', () => {
    expect(answerQuestions([shown('login: '), hidden('Password: ')], login, [])).toEqual(['max', 'secret']);
  });

  it('of a static challenge the password alone is given', () => {
    const both = { ...login, password: `SCRV1:${btoa('secret')}:${btoa('123456')}` };
    expect(answerQuestions([hidden('Password: ')], both, [])).toEqual(['secret']);
    const broken = { ...login, password: 'SCRV1:***:***' };
    expect(answerQuestions([hidden('Password: ')], broken, [])).toEqual(['SCRV1:***:***']);
  });

  it('what is only told wants no answer, and a style that nobody knows gets none', () => {
    expect(answerQuestions([told('Welcome'), { style: PamStyle.errorMessage, text: 'Oh' }], login, [])).toEqual([
      undefined,
      undefined,
    ]);
    expect(answerQuestions([{ style: 5, text: 'radio' }], login, [])).toBe('refused');
  });
});

describe('with pairs', () => {
  const pairs = (...words: readonly string[]) =>
    words.flatMap((query, at) => (at % 2 === 0 ? [{ query, answer: words[at + 1] ?? '' }] : []));
  const ask = (text: string, ...words: readonly string[]) =>
    answerQuestions(
      [hidden(text)],
      { ...login, password: `SCRV1:${btoa('secret')}:${btoa('123456')}` },
      pairs(...words),
    );

  it.each([
    ['Password: ', 'PASSWORD', 'secret'],
    ['Password: ', 'USERNAME', 'max'],
    ['Password: ', 'COMMONNAME', 'client'],
    ['Password: ', 'OTP', '123456'],
    ['Password: ', 'mydomain.com', 'mydomain.com'],
    ['Password: ', 'a OTP b OTP', 'a 123456 b 123456'],
    // Only the first of the names is replaced, in the order of the plug-in.
    ['Password: ', 'PASSWORD OTP', 'secret OTP'],
    ['** password', 'x', 'x'],
    ['PASSword for max', 'x', 'x'],
  ])('the question %s gets %s as %s', (text, answer, expected) => {
    expect(ask(text, 'login', 'USERNAME', 'password', answer)).toEqual([expected]);
  });

  it.each(['Pass', 'OTP', '', '***', 'my password'])('the question "%s" has no answer and refuses', (text) => {
    expect(ask(text, 'password', 'PASSWORD')).toBe('refused');
  });

  it('words of a client are put in as they are', () => {
    const odd = { username: 'USERNAME$&PASSWORD', password: 'x', commonName: '' };
    expect(answerQuestions([hidden('p')], odd, pairs('p', '<USERNAME>'))).toEqual(['<USERNAME$&PASSWORD>']);
  });
});
