import { describe, expect, it } from 'vitest';
import type { Challenge, ChallengePort, WebLogin } from '../../src/client/ports.ts';
import { ClientLab } from '../lab/client-lab.ts';

const REMOTE = 'remote 198.51.100.1 1194';
const STORED = ['auth-user-pass creds.txt'];
const CRV1 = 'AUTH_FAILED,CRV1:R,E:state1:Ym9i:Which PIN?';

/** A person with answers; when they are used up, one that says nothing until the signal comes. */
function person(answers: readonly string[], more: Partial<ChallengePort> = {}) {
  const asked: Challenge[] = [];
  const logins: WebLogin[] = [];
  const aborted: string[] = [];
  const left = [...answers];
  const port: ChallengePort = {
    respond: (challenge, signal) => {
      asked.push(challenge);
      const answer = left.shift();
      if (answer !== undefined) return Promise.resolve(answer);
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => {
          aborted.push(challenge.text);
          reject(signal.reason);
        }),
      );
    },
    webLogin: async (login) => void logins.push(login),
    announced: ['openurl', 'webauth', 'crtext'],
    ignoresAuthRetry: false,
    ...more,
  };
  return { port, asked, logins, aborted };
}

/** A lab whose server says these texts at the first push request of the first client, and then waits for what the test does. */
function pendingLab(texts: readonly string[], port: ChallengePort | undefined, ...lines: readonly string[]) {
  const lab = new ClientLab(REMOTE, ...STORED, ...lines);
  lab.challenges = port;
  let open = false;
  let said = false;
  lab.server.answer = () => {
    if (open) return undefined;
    if (!said) for (const text of texts) queueMicrotask(() => lab.server.last.say(text));
    said = true;
    return 'INFO,wait';
  };
  const heard = (): string[] =>
    lab.server.last.events.flatMap((event) =>
      event.type === 'info' && event.kind === 'cr-response' ? [event.text] : [],
    );
  const admit = (): void => {
    open = true;
  };
  return { lab, heard, admit };
}

describe('static-challenge', () => {
  it.each([
    ['1', 'SCRV1:c3RvcmVk:MTIzNDU2', true],
    ['0 scrv1', 'SCRV1:c3RvcmVk:MTIzNDU2', false],
    ['0 concat', 'stored123456', false],
  ])('%s is asked and sent along as %s', async (words, password, echo) => {
    const { port, asked } = person(['123456']);
    const lab = new ClientLab(REMOTE, ...STORED, `static-challenge "Your code" ${words}`);
    lab.challenges = port;
    await lab.up();
    expect(lab.server.logins).toEqual([{ username: 'alice', password }]);
    expect(asked).toEqual([
      { kind: 'static', text: 'Your code', echo, responseRequired: true, secondsLeft: undefined },
    ]);
    expect(lab.phases).toContain('login-pending');
  });

  it('that nobody can answer ends the program with an error that says so', async () => {
    const lab = new ClientLab(REMOTE, ...STORED, 'static-challenge Code 0').start();
    expect(await lab.ended()).toMatchObject({ exitCode: 1, error: { code: 'SALLYPORT_CREDENTIALS' } });
    await lab.gone();
  });
});

describe('a dynamic challenge', () => {
  it('is asked under auth-retry interact, and the next login answers it under the name it states', async () => {
    const { port, asked } = person(['86:75']);
    const lab = new ClientLab(REMOTE, ...STORED, 'auth-retry interact');
    lab.challenges = port;
    lab.server.answer = () => (lab.server.count < 2 ? CRV1 : undefined);
    await lab.up();
    expect(lab.server.logins).toEqual([
      { username: 'alice', password: 'stored' },
      { username: 'bob', password: 'CRV1::state1::86:75' },
    ]);
    expect(asked).toMatchObject([{ kind: 'dynamic', text: 'Which PIN?', echo: true, responseRequired: true }]);
    expect(lab.received[0]).toBe('SIGUSR1[soft,auth-failure] received, process restarting');
  });

  it('without the flag R is shown and answered with nothing', async () => {
    const { port } = person(['ignored']);
    const lab = new ClientLab(REMOTE, ...STORED, 'auth-retry interact');
    lab.challenges = port;
    lab.server.answer = () => (lab.server.count < 2 ? 'AUTH_FAILED,CRV1::s:Ym9i:Look here' : undefined);
    await lab.up();
    expect(lab.server.logins[1]).toEqual({ username: 'bob', password: 'CRV1::s::' });
  });

  it('may be followed by another one', async () => {
    const { port } = person(['1', '2']);
    const lab = new ClientLab(REMOTE, ...STORED, 'auth-retry interact');
    lab.challenges = port;
    lab.server.answer = () => (lab.server.count < 3 ? CRV1 : undefined);
    await lab.up();
    expect(lab.server.logins.map(({ password }) => password)).toEqual(['stored', 'CRV1::state1::1', 'CRV1::state1::2']);
  });

  it.each([
    ['without auth-retry', [], person(['1']).port, /auth-retry interact/],
    ['with nobody to ask', ['auth-retry interact'], undefined, /onChallenge/],
  ])('%s ends the program with an error that says what to do', async (_name, lines, port, hint) => {
    const lab = new ClientLab(REMOTE, ...STORED, ...lines);
    lab.challenges = port;
    lab.server.answer = () => CRV1;
    lab.start();
    const end = await lab.ended();
    expect(end).toMatchObject({ kind: 'exit', exitCode: 0, error: { hint: expect.stringMatching(hint) } });
    expect(end).toMatchObject({ error: { message: expect.stringContaining('Which PIN?') } });
    expect(lab.received).toEqual(['SIGTERM[soft,auth-failure] received, process exiting']);
  });

  it('is asked without auth-retry where a program answers it', async () => {
    const { port } = person(['7'], { ignoresAuthRetry: true });
    const lab = new ClientLab(REMOTE, ...STORED);
    lab.challenges = port;
    lab.server.answer = () => (lab.server.count < 2 ? CRV1 : undefined);
    await lab.up();
    expect(lab.server.logins[1]?.password).toBe('CRV1::state1::7');
  });

  it('is not asked under auth-retry nointeract: the same password goes again', async () => {
    const { port, asked } = person(['7']);
    const lab = new ClientLab(REMOTE, ...STORED, 'auth-retry nointeract');
    lab.challenges = port;
    lab.server.answer = () => (lab.server.count < 2 ? CRV1 : undefined);
    await lab.up();
    expect(lab.server.logins.map(({ password }) => password)).toEqual(['stored', 'stored']);
    expect(asked).toEqual([]);
  });

  it('that is malformed ends the program', async () => {
    const lab = new ClientLab(REMOTE, ...STORED, 'auth-retry interact');
    lab.challenges = person(['1']).port;
    lab.server.answer = () => 'AUTH_FAILED,CRV1:R:state';
    lab.start();
    expect(await lab.ended()).toMatchObject({ error: { message: 'The server sent a malformed challenge' } });
  });
});

describe('a pending login', () => {
  it('is asked for its code, answered in base64, and told with the time left', async () => {
    const { port, asked } = person(['zoë']);
    const { lab, heard, admit } = pendingLab(['AUTH_PENDING,timeout 300', 'INFO_PRE,CR_TEXT:R:Code?'], port);
    lab.start();
    await lab.until(() => heard().length > 0, 'the answer comes');
    expect(heard()).toEqual(['em/Dqw==']);
    expect(asked).toMatchObject([{ kind: 'pending', text: 'Code?', echo: false }]);
    expect(asked[0]?.secondsLeft).toBeGreaterThan(290);
    expect(lab.states.filter(({ phase }) => phase === 'login-pending')).toMatchObject([
      { needs: 'nothing' },
      { needs: 'response', text: 'Code?' },
    ]);
    admit();
    await lab.until(() => lab.isUp, 'up');
  });

  it('takes the question back when the server has decided without it', async () => {
    const { port, aborted } = person([]);
    const { lab, admit } = pendingLab(['AUTH_PENDING,timeout 300', 'INFO_PRE,CR_TEXT:R:Code?'], port);
    lab.start();
    await lab.until(() => lab.phase === 'login-pending', 'asked');
    admit();
    await lab.until(() => lab.isUp, 'up');
    expect(aborted).toEqual(['Code?']);
  });

  it('asks the newest question only', async () => {
    const { port, aborted, asked } = person([]);
    const { lab } = pendingLab(['AUTH_PENDING', 'INFO_PRE,CR_TEXT:R:One?', 'INFO_PRE,CR_TEXT:R:Two?'], port);
    lab.start();
    await lab.until(() => asked.length === 2, 'asked twice');
    expect(aborted).toEqual(['One?']);
    lab.signal('SIGTERM');
    await lab.ended();
    expect(aborted).toEqual(['One?', 'Two?']);
    await lab.gone();
  });

  it('is not answered any more by one who asks without end', async () => {
    const { port, asked } = person(Array.from({ length: 50 }, () => 'x'));
    const texts = Array.from({ length: 40 }, (_, n) => `INFO_PRE,CR_TEXT:R:${n}`);
    const { lab } = pendingLab(['AUTH_PENDING', ...texts], port);
    lab.start();
    await lab.until(() => lab.log.some((line) => line.includes('more than 16 times')), 'refused');
    expect(asked).toHaveLength(16);
  });

  it('that wants a response which nobody can give ends with an error that says so', async () => {
    const { lab } = pendingLab(['AUTH_PENDING', 'INFO_PRE,CR_TEXT:R:Code?'], undefined);
    lab.start();
    expect(await lab.ended()).toMatchObject({ exitCode: 1, error: { code: 'SALLYPORT_CREDENTIALS' } });
    await lab.gone();
  });

  it.each([
    ['INFO_PRE,WEB_AUTH:external:https://id.example/s?x=1', ['external']],
    ['INFO_PRE,OPEN_URL:https://id.example/s?x=1', []],
  ])('shows the address of %s', async (text, flags) => {
    const { port, logins } = person([]);
    const { lab, admit } = pendingLab(['AUTH_PENDING,timeout 120', text], port);
    lab.start();
    await lab.until(() => logins.length > 0, 'told');
    expect(logins).toMatchObject([{ url: 'https://id.example/s?x=1', flags }]);
    expect(lab.states.at(-1)).toMatchObject({ needs: 'web-login', url: 'https://id.example/s?x=1' });
    admit();
    await lab.until(() => lab.isUp, 'up');
  });

  it('shows no address that is not a plain one', async () => {
    const { port, logins } = person([]);
    const { lab } = pendingLab(['AUTH_PENDING', 'INFO_PRE,WEB_AUTH::file:///etc/shadow'], port);
    lab.start();
    await lab.until(() => lab.log.some((line) => line.includes('not a plain http')), 'refused');
    expect(logins).toEqual([]);
  });

  it('is given up at the time the server set, not before, with an error that says why', async () => {
    const { lab } = pendingLab(['AUTH_PENDING,timeout 200'], undefined);
    lab.start();
    await lab.until(() => lab.phase === 'login-pending', 'pending');
    const sinceMs = lab.clock.nowMs;
    await lab.until(() => lab.phase === 'reconnecting', 'given up');
    expect(lab.clock.nowMs - sinceMs).toBeGreaterThan(195_000);
    expect(lab.clock.nowMs - sinceMs).toBeLessThan(206_000);
    expect(lab.received.at(-1)).toBe('SIGUSR1[soft,no-push-reply] received, process restarting');
    expect(lab.log.join('\n')).toMatch(/The login at .* was not finished within 20\d seconds/);
  });
});

describe('IV_SSO', () => {
  const announced = async (port: ChallengePort | undefined, ...lines: readonly string[]) => {
    const lab = new ClientLab(REMOTE, ...STORED, ...lines);
    lab.challenges = port;
    await lab.up();
    const event = lab.server.last.events.find(({ type }) => type === 'peer-connected');
    return event?.type === 'peer-connected' ? event.peerInfo.get('IV_SSO') : undefined;
  };

  it('names what can be served, or what the profile says', async () => {
    expect(await announced(undefined)).toBeUndefined();
    expect(await announced(person([]).port)).toBe('openurl,webauth,crtext');
    expect(await announced(person([], { announced: ['crtext'] }).port)).toBe('crtext');
    expect(await announced(person([]).port, 'setenv IV_SSO webauth')).toBe('webauth');
    expect(await announced(undefined, 'setenv IV_SSO webauth')).toBe('webauth');
  });
});
