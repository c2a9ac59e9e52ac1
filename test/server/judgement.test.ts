// Who is let in: hooks that answer, fail and hang; certificates; renegotiations; tokens.

import { describe, expect, it } from 'vitest';
import type { AuthenticateContext, AuthenticateDecision, ClientIdentity, ServerHooks } from '../../src/server/hooks.ts';
import type { PasswordPlugin } from '../../src/server/ports.ts';
import { certificateOf } from '../lab/deterministic-tls.ts';
import type { LabClient } from '../lab/lab-client.ts';
import { labTokens, ServerLab } from '../lab/server-lab.ts';

type Hook = NonNullable<ServerHooks['onAuthenticate']>;

const EXPIRED = { trusted: false, code: 'CERT_HAS_EXPIRED', text: 'certificate has expired', depth: 0 } as const;
const CREDENTIALS = { username: 'max', password: 'secret' };

async function judgedBy(onAuthenticate: Hook, lines: readonly string[] = []) {
  const lab = await new ServerLab(lines, { hooks: { onAuthenticate } }).up();
  // A client without renegotiation time of its own takes no offer to wait longer.
  const ann = lab.connect('ann', { credentials: CREDENTIALS, session: { renegotiateMs: 36_000_000 } });
  return { lab, ann };
}

const refusedUntil = (lab: ServerLab, client: LabClient): Promise<void> =>
  lab.until(() => client.end !== undefined, 'the client is refused');

const refusedWith = async (lab: ServerLab, client: LabClient): Promise<string | undefined> => {
  await lab.until(() => client.end !== undefined, 'the client is refused');
  expect(client.end?.reason).toBe('auth-failed');
  await lab.runFor(10_000);
  expect(lab.kept).toBe(0);
  expect(await lab.gone()).toEqual({});
  return client.refused;
};

describe('a plug-in', () => {
  const judgedByPlugins = async (...plugins: readonly PasswordPlugin['verify'][]) => {
    const passwordPlugins = plugins.map((verify) => ({ name: 'PLUGIN AUTH-PAM', path: 'auth-pam.so', verify }));
    const lab = await new ServerLab(['script-security 2', 'auth-user-pass-verify /a via-env'], {
      passwordPlugins,
    }).up();
    return { lab, connect: (credentials = CREDENTIALS) => lab.connect('ann', { credentials }) };
  };
  const answer = (accepted: boolean) => ({
    accepted,
    problem: 'Authentication\nfailure',
    questions: ["query='Pass\u001b'"],
  });

  it('is asked with what the client says and where it is, and the program after it', async () => {
    const asked: unknown[] = [];
    const { lab, connect } = await judgedByPlugins(async (login, timeoutMs) => {
      asked.push([login, timeoutMs]);
      return answer(true);
    });
    connect({ username: 'max', password: 'sec\nret' });
    await lab.until(() => lab.list.length > 0, 'the client is in');
    expect(asked).toEqual([
      [
        { username: 'max', password: 'sec_ret', commonName: 'ann', remote: expect.stringMatching(/^192\.0\.2\./) },
        60_000,
      ],
    ]);
    expect(lab.ran.map(({ argv }) => argv[0])).toEqual(['/a']);
  });

  it('refuses, and then nobody else is asked', async () => {
    let second = 0;
    const { lab, connect } = await judgedByPlugins(
      async () => answer(false),
      async () => answer(++second > 0),
    );
    expect(await refusedWith(lab, connect())).toBe('');
    expect([second, lab.ran]).toEqual([0, []]);
    const words = "PLUGIN AUTH-PAM: BACKGROUND: user 'max' failed to authenticate: Authentication_failure";
    expect(lab.log.some((line) => line.endsWith(words))).toBe(true);
    expect(lab.log.join()).not.toMatch(/\u001b/);
  });

  it('is not asked without a user name', async () => {
    let asked = 0;
    const { lab, connect } = await judgedByPlugins(async () => answer(++asked > 0));
    await refusedWith(lab, connect({ username: '', password: 'x' }));
    expect(asked).toBe(0);
  });
});

describe('a hook', () => {
  it.each<[string, AuthenticateDecision, string]>([
    ['false', false, ''],
    ['without a reason', { accept: false }, ''],
    ['with a reason', { accept: false, reason: 'not today\nPUSH_REPLY,x' }, 'not today PUSH_REPLY,x'],
    ['for a while', { accept: false, retry: { backoffSeconds: 42, advance: 'address', text: 'busy' } }, 'busy'],
  ])('refuses: %s', async (_how, decision, told) => {
    const { lab, ann } = await judgedBy(() => decision);
    expect(await refusedWith(lab, ann)).toContain(told);
  });

  it('refuses with a question that the client comes again with the answer to', async () => {
    const seen: unknown[] = [];
    const { lab, ann } = await judgedBy(({ challenge }) => {
      if (challenge === undefined) return { accept: false, challenge: { text: 'Code?', state: 'abc', echo: true } };
      seen.push(challenge);
      return challenge.response === '42';
    });
    await refusedUntil(lab, ann);
    expect(ann.end).toMatchObject({ dynamicChallenge: 'CRV1:R,E:abc:bWF4:Code?' });
    await lab.connected('ann', { credentials: { username: 'max', password: 'CRV1::abc::42' } });
    expect(seen).toEqual([{ state: 'abc', response: '42' }]);
  });

  it.each([
    ['a password and an answer', 'SCRV1:c2VjcmV0:w6RiIDQy', { password: 'secret', response: 'äb 42' }],
    ['both of them empty', 'SCRV1::', { password: '', response: '' }],
    ['an answer that is not base64', 'SCRV1:c2VjcmV0:N', { password: 'SCRV1:c2VjcmV0:N', response: undefined }],
    ['no answer', 'SCRV1:c2VjcmV0', { password: 'SCRV1:c2VjcmV0', response: undefined }],
    ['one part too many', 'SCRV1:c2Vj:NDI=:NDI=', { password: 'SCRV1:c2Vj:NDI=:NDI=', response: undefined }],
    ['another beginning', 'xSCRV1:c2Vj:NDI=', { password: 'xSCRV1:c2Vj:NDI=', response: undefined }],
  ])('gets a static challenge in its parts, and whole what is none: %s', async (_what, password, seen) => {
    const asked: unknown[] = [];
    const hook: Hook = (client) => asked.push({ password: client.password, response: client.response }) > 0;
    const lab = await new ServerLab([], { hooks: { onAuthenticate: hook } }).up();
    await lab.connected('ann', { credentials: { username: 'max', password } });
    expect(asked).toEqual([seen]);
  });

  it('tells a client that comes too early how long to wait', async () => {
    const { lab, ann } = await judgedBy(() => ({ accept: false, retry: { backoffSeconds: 42 } }));
    await refusedWith(lab, ann);
    expect(ann.end).toMatchObject({ temporary: { backoffSeconds: 42 } });
  });

  it.each<[string, Hook]>([
    [
      'throws',
      () => {
        throw new Error('no database');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no database'))],
  ])('that %s refuses its client, and what happened is written down', async (_how, hook) => {
    const { lab, ann } = await judgedBy(hook);
    expect(await refusedWith(lab, ann)).toBe('');
    expect(lab.lines(/no database/)).toHaveLength(1);
  });

  it('names its client', async () => {
    const { lab, ann } = await judgedBy(() => ({ accept: true, name: 'max\n@home' }));
    await lab.until(() => ann.isUp, 'ann is up');
    expect(lab.names).toEqual(['max_@home']);
    expect(lab.log.at(-1)).toMatch(/^max_@home\/192\.0\.2\.10:40000 /);
  });

  it('is told what the client says and nothing is pushed before its answer', async () => {
    let seen: ClientIdentity | undefined;
    let decide = (_accept: boolean): void => {};
    const { lab, ann } = await judgedBy((client) => {
      seen = client;
      return new Promise((resolve) => {
        decide = resolve;
      });
    });
    await lab.runFor(20_000);
    expect(seen).toMatchObject({ commonName: 'ann', ...CREDENTIALS, renegotiation: false });
    expect(seen?.peerInfo.get('IV_VER')).toBe('2.6.14');
    expect(lab.lines(/SENT CONTROL/)).toEqual([]);
    ann.sendPacket('10.8.0.1', '10.8.0.2');
    await lab.runFor(1000);
    expect(lab.inner()).toEqual([]);
    decide(true);
    await lab.until(() => ann.isUp, 'ann is up');
  });

  it('that hangs for ever holds up nobody else, and its client is refused after hand-window', async () => {
    const { lab, ann } = await judgedBy(({ commonName }) => commonName !== 'ann' || new Promise(() => {}));
    const startMs = lab.clock.nowMs;
    await lab.runFor(1000);
    for (const name of ['bob', 'eve']) await lab.connected(name, { credentials: CREDENTIALS });
    expect(lab.clock.nowMs - startMs).toBeLessThan(3000);
    await lab.until(() => ann.end !== undefined, 'ann is refused', 62_000);
    expect(lab.names).toEqual(['bob', 'eve']);
    await lab.runFor(10_000);
    expect(lab.kept).toBe(2);
    expect(await lab.gone()).toEqual({});
  });

  it.each([true, false])('that answers %s when its client is gone changes nothing', async (answer) => {
    let decide = (_accept: boolean): void => {};
    let signal: AbortSignal | undefined;
    const hook: Hook = ({ commonName }, context) => {
      if (commonName !== 'ann') return true;
      signal = context.signal;
      return new Promise((resolve) => {
        decide = resolve;
      });
    };
    const { lab, ann } = await judgedBy(hook);
    await lab.runFor(1000);
    ann.silent = true;
    await lab.runFor(80_000);
    expect(signal?.aborted).toBe(true);
    expect(lab.kept).toBe(0);
    const before = lab.log.length;
    decide(answer);
    await lab.runFor(10_000);
    expect(lab.log.length).toBe(before);
    await lab.connected('bob', { credentials: CREDENTIALS });
    expect(await lab.gone()).toEqual({});
  });

  it.each([true, false])(
    'that answers %s after its client was refused lets nobody in and keeps nobody',
    async (answer) => {
      let decide = (_accept: boolean): void => {};
      const hook: Hook = () =>
        new Promise((resolve) => {
          decide = resolve;
        });
      const { lab, ann } = await judgedBy(hook);
      await lab.runFor(1000);
      // It hears nothing, so that AUTH_FAILED is never acknowledged.
      ann.silent = true;
      await lab.until(() => lab.lines(/Delayed exit/).length > 0, 'it is refused');
      decide(answer);
      await lab.runFor(10_000);
      expect(lab.kept).toBe(0);
      expect(lab.lines(/Peer Connection Initiated/)).toEqual([]);
      expect(await lab.gone()).toEqual({});
    },
  );
});

describe('a dialog', () => {
  const answering = (client: LabClient, answer: string | undefined, lab: ServerLab) => {
    client.onEvent = (event) => {
      if (event.type === 'info' && event.text.startsWith('CR_TEXT') && answer !== undefined) {
        client.session.sendText(`CR_RESPONSE,${btoa(answer)}`, lab.clock.now());
      }
      return false;
    };
  };
  const asking: Hook = async (_client, context) => (await context.ask('Token?', { echo: true })) === '123456';

  it.each([
    ['123456', true],
    ['654321', false],
  ])('asks and hears %s', async (answer, accepted) => {
    const { lab, ann } = await judgedBy(asking);
    answering(ann, answer, lab);
    await lab.until(() => ann.isUp || ann.end !== undefined, 'it is decided');
    expect(ann.infos('info-pre')).toEqual(['CR_TEXT:E,R:Token?']);
    expect(ann.isUp).toBe(accepted);
    expect(await lab.gone()).toEqual({});
  });

  it('without an answer ends in a refusal at its own time', async () => {
    const { lab, ann } = await judgedBy((_client, context) =>
      context.ask('Token?', { timeoutSeconds: 90 }).then(() => true),
    );
    const startMs = lab.clock.nowMs;
    await lab.until(() => lab.lines(/Delayed exit/).length > 0, 'it is refused');
    expect(lab.clock.nowMs - startMs).toBeGreaterThan(89_000);
    expect(ann.isUp).toBe(false);
    await lab.runFor(10_000);
    expect(await lab.gone()).toEqual({});
  });

  it('does not ask a client that announces no questions', async () => {
    const lab = await new ServerLab([], { hooks: { onAuthenticate: asking } }).up();
    const ann = lab.connect('ann', { session: { peerInfo: ['IV_PROTO=478', 'IV_NCP=2'] } });
    expect(await refusedWith(lab, ann)).toBe('');
  });

  it('may be begun and not waited for', async () => {
    const { lab, ann } = await judgedBy(async (_client, context) => {
      const answer = context.ask('Token?');
      await new Promise((resolve) => setImmediate(resolve));
      void answer;
      return false;
    });
    expect(await refusedWith(lab, ann)).toBe('');
  });

  it('sends to a web page and waits for it', async () => {
    let decide = (_accept: boolean): void => {};
    const { lab, ann } = await judgedBy((_client, context) => {
      context.webLogin('https://example.com/x?a=1', { timeoutSeconds: 300 });
      return new Promise((resolve) => {
        decide = resolve;
      });
    });
    await lab.runFor(120_000);
    expect(ann.infos('info-pre')).toEqual(['WEB_AUTH::https://example.com/x?a=1']);
    expect(ann.infos('auth-pending')).toHaveLength(1);
    decide(true);
    await lab.until(() => ann.isUp, 'ann is up');
  });

  it.each(['javascript:x', 'https://a b', 'https://a\nPUSH_REPLY', ''])('sends nobody to %j', async (url) => {
    const { lab, ann } = await judgedBy((_client, context) => {
      context.webLogin(url);
      return true;
    });
    expect(await refusedWith(lab, ann)).toBe('');
    expect(ann.infos('info-pre')).toEqual([]);
  });

  it('is over with its judgement: later words move nothing', async () => {
    let kept: AuthenticateContext | undefined;
    const { lab, ann } = await judgedBy((_client, context) => {
      kept = context;
      return true;
    });
    await lab.until(() => ann.isUp, 'ann is up');
    expect(() => kept?.wait(30)).toThrow();
    expect(() => kept?.webLogin('https://example.com/')).toThrow();
    await expect(kept?.ask('Who?')).rejects.toThrow();
    await lab.runFor(120_000);
    expect(lab.names).toEqual(['ann']);
    expect(ann.infos('info-pre')).toEqual([]);
  });

  it('may not put a client off for ever', async () => {
    const { lab, ann } = await judgedBy((_client, context) => {
      context.wait(1e9);
      return new Promise(() => {});
    });
    await lab.until(() => lab.lines(/Delayed exit/).length > 0, 'it is refused', 1_801_000);
    expect(ann.isUp).toBe(false);
  });
});

describe('a certificate that cannot be checked, because the revocation list has expired', () => {
  it('has its client try again: the fault is not its own', async () => {
    const verdict = { trusted: false, code: 'CRL_HAS_EXPIRED', text: 'CRL has expired', depth: 0 } as const;
    const lab = await new ServerLab([], { tls: { report: { verdict } } }).up();
    const ann = lab.connect('ann', { credentials: CREDENTIALS });
    await lab.until(() => ann.end !== undefined, 'ann is turned away');
    expect(ann.end?.reason).not.toBe('auth-failed');
    expect(lab.lines(/SENT CONTROL/).some((line) => line.includes("'RESTART,"))).toBe(true);
    expect(lab.lines(/SENT CONTROL/).some((line) => line.includes('AUTH_FAILED'))).toBe(false);
    expect(ann.isUp).toBe(false);
  });
});

describe('a certificate that does not pass', () => {
  it('is answered AUTH_FAILED and nothing else', async () => {
    const asked: string[] = [];
    const hooks = { onAuthenticate: () => asked.push('hook') > 0, onConnect: () => void asked.push('connect') };
    const lab = await new ServerLab(['script-security 2', 'auth-user-pass-verify /a via-env'], {
      hooks,
      tls: { report: { verdict: EXPIRED } },
    }).up();
    const ann = lab.connect('ann', { credentials: CREDENTIALS });
    await lab.until(() => ann.end !== undefined, 'ann is refused');
    expect(ann.end?.reason).toBe('auth-failed');
    ann.sendPacket('10.8.0.1', '10.8.0.2');
    await lab.runFor(10_000);
    expect(asked).toEqual([]);
    expect(lab.ran).toEqual([]);
    expect(lab.inner()).toEqual([]);
    expect(lab.lines(/SENT CONTROL/).every((line) => line.includes('AUTH_FAILED'))).toBe(true);
    expect(lab.lines(/Peer Connection Initiated|Data Channel/)).toEqual([]);
    expect(lab.kept).toBe(0);
    expect(await lab.gone()).toEqual({});
  });

  it.each([
    ['require', false],
    ['optional', true],
    ['none', true],
  ])('that is none is (under verify-client-cert %s) let in: %s', async (how, accepted) => {
    const lab = await new ServerLab([`verify-client-cert ${how}`], {
      hooks: { onAuthenticate: ({ password }) => password === 'secret' },
      tls: { report: { chain: [] } },
    }).up();
    const ann = lab.connect('ann', { credentials: CREDENTIALS });
    await lab.until(() => ann.isUp || ann.end !== undefined, 'it is decided');
    expect(ann.isUp).toBe(accepted);
  });

  it('that is there and bad is refused under optional, too', async () => {
    const lab = await new ServerLab(['verify-client-cert optional'], {
      hooks: { onAuthenticate: () => true },
      tls: { report: { verdict: EXPIRED } },
    }).up();
    const ann = lab.connect('ann', { credentials: CREDENTIALS });
    await lab.until(() => ann.end !== undefined, 'ann is refused');
    expect(ann.isUp).toBe(false);
  });
});

describe('a renegotiation', () => {
  const renegotiations = (lab: ServerLab) => lab.renegotiations;

  it.each(['client', 'server'])('from the %s proves the client again', async (side) => {
    const seen: boolean[] = [];
    const hook: Hook = ({ renegotiation, password }) => {
      seen.push(renegotiation);
      return password === 'secret';
    };
    const { lab, ann } = await judgedBy(hook, [side === 'server' ? 'reneg-sec 300' : 'reneg-sec 0']);
    await lab.until(() => ann.isUp, 'ann is up');
    if (side === 'client') ann.session.renegotiate(lab.clock.now());
    await lab.until(() => renegotiations(lab) === 1, 'keys are new');
    expect(seen).toEqual([false, true]);
    await lab.runFor(70_000);
    ann.sendPacket('10.8.0.1');
    lab.sendInner('10.8.0.2');
    await lab.runFor(100);
    expect(lab.inner()).toHaveLength(1);
    expect(ann.receivedFrom()).toHaveLength(1);
  });

  it('goes on for a day', async () => {
    const { lab, ann } = await judgedBy(() => true);
    await lab.until(() => ann.isUp, 'ann is up');
    await lab.runFor(24 * 3_600_000);
    expect(renegotiations(lab)).toBeGreaterThan(20);
    expect(lab.names).toEqual(['ann']);
    expect(await lab.gone()).toEqual({});
  });

  it('that is refused ends the client', async () => {
    const { lab, ann } = await judgedBy(({ renegotiation }) => !renegotiation);
    await lab.until(() => ann.isUp, 'ann is up');
    ann.session.renegotiate(lab.clock.now());
    await refusedWith(lab, ann);
  });

  it('that nobody judges ends the client after hand-window, and not before', async () => {
    const { lab, ann } = await judgedBy(({ renegotiation }) => !renegotiation || new Promise(() => {}));
    await lab.until(() => ann.isUp, 'ann is up');
    ann.session.renegotiate(lab.clock.now());
    await lab.runFor(50_000);
    expect(lab.names).toEqual(['ann']);
    await lab.runFor(20_000);
    expect(lab.names).toEqual([]);
  });

  it('is not begun twice: a hundred soft resets a second are one', async () => {
    let judged = 0;
    const { lab, ann } = await judgedBy(({ renegotiation }) => {
      judged++;
      return !renegotiation || new Promise(() => {});
    });
    await lab.until(() => ann.isUp, 'ann is up');
    for (let round = 0; round < 100; round++) {
      ann.session.renegotiate(lab.clock.now());
      await lab.runFor(10);
    }
    expect(judged).toBe(2);
    expect(lab.tls.open).toBeLessThanOrEqual(2);
  });

  it.each([
    ['another common name', certificateOf('bob'), /CN attempted to change from 'ann' to 'bob'/],
    ['another certificate', certificateOf('ann', { sha256: new Uint8Array(32) }), /certs unexpectedly changed/],
    ['no certificate', undefined, /CN attempted to change from 'ann' to ''/],
  ])('with %s ends the client', async (_what, leaf, line) => {
    let changed = false;
    const lab = await new ServerLab(['verify-client-cert optional'], {
      hooks: { onAuthenticate: () => true },
      tls: { reportOf: () => (changed ? { chain: leaf === undefined ? [] : [leaf] } : {}) },
    }).up();
    const ann = await lab.connected('ann');
    changed = true;
    ann.session.renegotiate(lab.clock.now());
    await refusedWith(lab, ann);
    expect(lab.lines(line)).toHaveLength(1);
  });

  it.each(['bob', ''])('with another user name (%j) ends the client', async (username) => {
    const { lab, ann } = await judgedBy(() => true);
    await lab.until(() => ann.isUp, 'ann is up');
    ann.session.setCredentials({ username, password: 'secret' });
    ann.session.renegotiate(lab.clock.now());
    await refusedWith(lab, ann);
    expect(lab.lines(/username attempted to change from 'max' to/)).toHaveLength(1);
  });
});

describe('an auth-token', () => {
  const once: Hook = ({ password }) => password === 'secret';

  it('stands for the password in a renegotiation, and is renewed', async () => {
    const seen: (string | undefined)[] = [];
    const { lab, ann } = await judgedBy(
      (client) => {
        seen.push(client.password);
        return client.password === 'secret';
      },
      ['auth-gen-token 0 3600'],
    );
    await lab.until(() => ann.isUp, 'ann is up');
    const first = ann.pushed?.find((option) => option.startsWith('auth-token '));
    expect(first).toMatch(/^auth-token SESS_ID_AT_/);
    ann.session.renegotiate(lab.clock.now());
    await lab.until(() => ann.events.some(({ type }) => type === 'auth-token'), 'a new token');
    expect(seen).toEqual(['secret']);
    await lab.runFor(4 * 3_600_000);
    expect(lab.names).toEqual(['ann']);
    expect(await lab.gone()).toEqual({});
  });

  it('of another name, another key or another time is refused', async () => {
    const lab = await new ServerLab(['auth-gen-token 0 3600'], { hooks: { onAuthenticate: once } }).up();
    const now = lab.clock.now().unixSeconds;
    const session = new Uint8Array(12).fill(3);
    const good = labTokens().write('max', session, now, now);
    const cases: [string, string, boolean][] = [
      ['max', good, true],
      ['bob', good, false],
      ['max', labTokens().write('max', session, now - 9000, now - 9000), false],
      ['max', `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`, false],
      ['max', `SESS_ID_AT_${'A'.repeat(80)}`, false],
    ];
    for (const [username, password, accepted] of cases) {
      const client = lab.connect('ann', { credentials: { username, password } });
      await lab.until(() => client.isUp || client.end !== undefined, 'it is decided');
      expect([username, client.isUp]).toEqual([username, accepted]);
    }
  });

  it('that is none of ours is refused though the hook would agree', async () => {
    const lab = await new ServerLab(['auth-gen-token 0 3600'], { hooks: { onAuthenticate: () => true } }).up();
    const ann = lab.connect('ann', { credentials: { username: 'max', password: `SESS_ID_AT_${'A'.repeat(80)}` } });
    await refusedUntil(lab, ann);
    await lab.connected('ann', { credentials: CREDENTIALS });
  });

  it('that has expired is told so, and the password counts again', async () => {
    const { lab, ann } = await judgedBy(once, ['auth-gen-token 600 300']);
    await lab.until(() => ann.isUp, 'ann is up');
    await lab.runFor(700_000);
    ann.session.renegotiate(lab.clock.now());
    await lab.until(() => ann.end !== undefined, 'ann is refused');
    expect(ann.end).toMatchObject({ reason: 'auth-failed', tokenDead: true });
    await lab.connected('ann', { credentials: CREDENTIALS });
  });

  it('is good under the user name that a file gives the client', async () => {
    const lab = new ServerLab(['auth-gen-token 0 3600', 'client-config-dir ccd'], { hooks: { onAuthenticate: once } });
    lab.files.set('ccd/ann', 'override-username boss\n');
    await lab.up();
    const ann = await lab.connected('ann', { credentials: CREDENTIALS });
    const token = ann.pushed?.find((option) => option.startsWith('auth-token '))?.slice('auth-token '.length) ?? '';
    expect(ann.pushed).toContain(`auth-token-user ${btoa('boss')}`);
    expect(labTokens().verify('boss', token, lab.clock.now().unixSeconds).accepted).toBe(true);
    expect(lab.list[0]?.username).toBe('boss');
    ann.session.renegotiate(lab.clock.now());
    await lab.runFor(5000);
    expect(lab.renegotiations).toBe(1);
  });
});
