// The states of the service, on a clock that stands still until a test lets time pass.

import { describe, expect, it } from 'vitest';
import { type ClientProblem, Failure, failureOf, isFinal } from '../../apps/networkmanager/failure.ts';
import type { IpConfig } from '../../apps/networkmanager/ip-config.ts';
import { type Effect, ServiceMachine, ServiceState, type StartOptions } from '../../apps/networkmanager/machine.ts';
import { needsSecrets, type Question, SecretStore } from '../../apps/networkmanager/secrets.ts';
import { BusVariant } from '../../src/tunnel/bus-port.ts';

const LOGIN: Extract<Question, { kind: 'login' }> = { kind: 'login', of: 'Auth' };
const PROXY: Extract<Question, { kind: 'login' }> = { kind: 'login', of: 'HTTP Proxy' };
const CHALLENGE: Question = { kind: 'challenge', text: 'Your code?', echo: false };
const secretsOf = (secrets: Record<string, string>, username: string | undefined = 'alice') =>
  new SecretStore({ username, proxyUsername: 'proxy' }, new Map(Object.entries(secrets)));
const configOf = (address = 1): IpConfig => ({
  config: { gateway: new BusVariant('u', address) },
  ip4: undefined,
  ip6: undefined,
  blocksIpv6: false,
  withoutDns: false,
});
const problemOf = (code: ClientProblem['code'], message = 'It failed', retry = true): ClientProblem => ({
  code,
  message,
  hint: undefined,
  retry,
});

/** Effects in short: `3` for StateChanged, `failure 0`, `ask password`, `answer`, `config`, `stop`, `quit`. */
function short(effect: Effect): string[] {
  switch (effect.kind) {
    case 'state':
      return [String(effect.state)];
    case 'failure':
      return [`failure ${effect.reason}`];
    case 'secrets':
      return [`ask ${effect.request.hints.join(' ')}`];
    case 'answer':
      return [`answer ${effect.id} ${Object.values(effect.answer).join(' ')}`];
    case 'log':
      return [];
    case 'stop-client':
      return ['stop'];
    default:
      return [effect.kind];
  }
}

class Rig {
  nowMs = 1000;
  readonly machine: ServiceMachine;

  constructor(persist = false) {
    this.machine = new ServiceMachine({ persist }, this.nowMs);
  }

  /** What comes of it, in short. */
  after(act: (machine: ServiceMachine) => void = () => {}): string[] {
    act(this.machine);
    return this.machine.pollEffects().flatMap(short);
  }

  connect(options: Partial<StartOptions> = {}): string[] {
    return this.after((machine) =>
      machine.handleConnect(
        {
          secrets: secretsOf({ password: 'right' }),
          interactive: true,
          timeoutSeconds: undefined,
          remotes: 1,
          ...options,
        },
        this.nowMs,
      ),
    );
  }

  pass(seconds: number): string[] {
    this.nowMs += seconds * 1000;
    return this.after((machine) => machine.handleTime(this.nowMs));
  }

  bring(secrets: Record<string, string>): string[] {
    return this.after((machine) => machine.handleNewSecrets(new Map(Object.entries(secrets)), undefined, this.nowMs));
  }
}

describe('the service', () => {
  it('goes from starting to started with the configuration, and to stopped when it is told to', () => {
    const rig = new Rig();
    expect(rig.connect()).toEqual(['3']);
    expect(rig.after((machine) => machine.handleQuestion(1, LOGIN))).toEqual(['answer 1 alice right']);
    expect(rig.after((machine) => machine.handleUp(configOf()))).toEqual(['config', '4']);
    expect(rig.pass(3600)).toEqual([]);
    expect(rig.after((machine) => machine.handleDisconnect())).toEqual(['5', '6', 'stop', 'quit']);
    expect(rig.machine.state).toBe(ServiceState.stopped);
    expect(() => rig.machine.handleDisconnect()).toThrow(/No connection is there/);
  });

  it('takes no second connection beside the first one', () => {
    const rig = new Rig();
    rig.connect();
    expect(() => rig.connect()).toThrow(/A connection is being made already/);
    rig.after((machine) => machine.handleUp(configOf()));
    expect(() => rig.connect()).toThrow(/A connection is up already/);
    expect(rig.machine.state).toBe(ServiceState.started);
  });

  it('says stopped where a connection can not be used, and ends', () => {
    expect(new Rig().after((machine) => machine.handleRefused())).toEqual(['6', 'stop', 'quit']);
    const rig = new Rig();
    rig.connect();
    expect(rig.after((machine) => machine.handleRefused())).toEqual(['5', '6', 'stop', 'quit']);
  });

  it('does not end a connection that is up for another one that can not be used', () => {
    const rig = new Rig();
    rig.connect();
    rig.after((machine) => machine.handleUp(configOf()));
    expect(rig.after((machine) => machine.handleRefused())).toEqual([]);
  });

  it('ends without having been used after three minutes, and not where it persists', () => {
    const rig = new Rig();
    expect(rig.pass(179)).toEqual([]);
    expect(rig.pass(2)).toEqual(['quit']);
    const persistent = new Rig(true);
    expect(persistent.pass(1000)).toEqual([]);
    persistent.connect();
    expect(persistent.after((machine) => machine.handleDisconnect())).toEqual(['5', '6', 'stop']);
    expect(persistent.connect()).toEqual(['3']);
  });

  it("gives up after the connection's time, a little later than NetworkManager does", () => {
    const rig = new Rig();
    rig.connect();
    expect(rig.pass(61)).toEqual([]);
    expect(rig.pass(2)).toEqual(['failure 1', '5', '6', 'stop', 'quit']);
    const short = new Rig();
    short.connect({ timeoutSeconds: 5 });
    expect(short.pass(8)).toEqual(['failure 1', '5', '6', 'stop', 'quit']);
  });

  it('tells a little before that what it knows better than that time is over', () => {
    const rig = new Rig();
    rig.connect();
    rig.after((machine) => machine.handleAttemptFailed(problemOf('SALLYPORT_TLS', 'refused (alert unknown_ca)', true)));
    const silent = new Rig();
    silent.connect();
    silent.after((machine) => machine.handleAttemptFailed(problemOf('SALLYPORT_NO_ANSWER')));
    expect(silent.pass(60)).toEqual([]);
    const odd = new Rig();
    odd.connect();
    odd.after((machine) => machine.handleAttemptFailed(problemOf('SALLYPORT_NEGOTIATION')));
    expect(odd.pass(59)).toEqual(['failure 1', '5', '6', 'stop', 'quit']);
  });

  it('stops at once for what no waiting changes, once every server has said so', () => {
    const rig = new Rig();
    rig.connect({ remotes: 2 });
    const distrusted = problemOf('SALLYPORT_CERTIFICATE', 'The certificate has the wrong name', false);
    expect(rig.after((machine) => machine.handleAttemptFailed(distrusted))).toEqual([]);
    expect(rig.after((machine) => machine.handleAttemptFailed(distrusted))).toEqual([
      'failure 1',
      '5',
      '6',
      'stop',
      'quit',
    ]);
  });

  it('goes on trying for ever once it was up', () => {
    const rig = new Rig();
    rig.connect();
    rig.after((machine) => machine.handleUp(configOf()));
    const distrusted = problemOf('SALLYPORT_CERTIFICATE', 'x', false);
    expect(rig.after((machine) => machine.handleAttemptFailed(distrusted))).toEqual([]);
    expect(rig.pass(10_000)).toEqual([]);
  });

  it('tells the configuration of a reconnection only where it is another one', () => {
    const rig = new Rig();
    rig.connect();
    rig.after((machine) => machine.handleUp(configOf(1)));
    expect(rig.after((machine) => machine.handleUp(configOf(1)))).toEqual([]);
    expect(rig.after((machine) => machine.handleUp(configOf(2)))).toEqual(['config']);
  });

  it('has one failure, and nothing after the end', () => {
    const rig = new Rig();
    rig.connect();
    expect(
      rig.after((machine) => {
        machine.handleClientEnd(problemOf('SALLYPORT_AUTH_FAILED'));
        machine.handleClientEnd(problemOf('SALLYPORT_NETWORK'));
        machine.handleUp(configOf());
        machine.handleQuestion(1, LOGIN);
        machine.handleBanner('x');
      }),
    ).toEqual(['failure 0', '5', '6', 'stop', 'quit']);
    expect(rig.pass(1000)).toEqual([]);
  });

  it('has no failure where the client just ended', () => {
    const rig = new Rig();
    rig.connect();
    expect(rig.after((machine) => machine.handleClientEnd(undefined))).toEqual(['5', '6', 'stop', 'quit']);
  });
});

describe('a password', () => {
  it('that is missing is asked for, and the time to connect begins anew with the answer', () => {
    const rig = new Rig();
    rig.connect({ secrets: secretsOf({}) });
    expect(rig.after((machine) => machine.handleQuestion(1, LOGIN))).toEqual(['ask password']);
    expect(rig.pass(1000)).toEqual([]);
    expect(rig.bring({ password: 'right' })).toEqual(['answer 1 alice right']);
    expect(rig.pass(61)).toEqual([]);
    expect(rig.pass(2)[0]).toBe('failure 1');
  });

  it('that was refused is asked for again', () => {
    const rig = new Rig();
    rig.connect({ secrets: secretsOf({ password: 'wrong' }) });
    expect(rig.after((machine) => machine.handleQuestion(1, LOGIN))).toEqual(['answer 1 alice wrong']);
    rig.machine.handleRefusedAnswer({ kind: 'login', of: 'Auth' });
    expect(rig.after((machine) => machine.handleQuestion(2, LOGIN))).toEqual(['ask password']);
    expect(rig.bring({ password: 'right' })).toEqual(['answer 2 alice right']);
  });

  it('that was refused and is brought again is a failed login', () => {
    const rig = new Rig();
    rig.connect({ secrets: secretsOf({ password: 'wrong' }) });
    rig.after((machine) => machine.handleQuestion(1, LOGIN));
    rig.machine.handleRefusedAnswer({ kind: 'login', of: 'Auth' });
    rig.after((machine) => machine.handleQuestion(2, LOGIN));
    expect(rig.bring({ password: 'wrong' })).toEqual(['failure 0', '5', '6', 'stop', 'quit']);
  });

  it.each([
    ['is missing', {}],
    ['was refused', { password: 'wrong' }],
  ])('that %s is a failed login where nobody may be asked', (_, secrets) => {
    const rig = new Rig();
    rig.connect({ secrets: secretsOf(secrets), interactive: false });
    rig.machine.handleRefusedAnswer({ kind: 'login', of: 'Auth' });
    expect(rig.after((machine) => machine.handleQuestion(1, LOGIN))).toEqual(['failure 0', '5', '6', 'stop', 'quit']);
  });

  it('that was refused once and has let somebody in since is used again', () => {
    const rig = new Rig();
    rig.connect();
    rig.machine.handleRefusedAnswer({ kind: 'login', of: 'Auth' });
    rig.after((machine) => machine.handleUp(configOf()));
    expect(rig.after((machine) => machine.handleQuestion(2, LOGIN))).toEqual(['answer 2 alice right']);
  });

  it('that is wanted anew while the tunnel was up is asked for from starting, where NetworkManager allows it', () => {
    const rig = new Rig();
    rig.connect({ secrets: secretsOf({}) });
    rig.after((machine) => machine.handleUp(configOf()));
    expect(rig.after((machine) => machine.handleQuestion(7, LOGIN))).toEqual(['3', 'ask password']);
    expect(rig.bring({ password: 'right' })).toEqual(['answer 7 alice right']);
    expect(rig.after((machine) => machine.handleUp(configOf()))).toEqual(['config', '4']);
  });

  it('is not taken where nobody asked', () => {
    const rig = new Rig();
    expect(() => rig.bring({ password: 'x' })).toThrow(/No secrets were asked for/);
    rig.connect();
    expect(() => rig.bring({ password: 'x' })).toThrow(/No secrets were asked for/);
    expect(rig.machine.state).toBe(ServiceState.starting);
  });

  it('that is not wanted any more leaves the time to connect running', () => {
    const rig = new Rig();
    rig.connect({ secrets: secretsOf({}) });
    rig.after((machine) => machine.handleQuestion(1, LOGIN));
    rig.machine.handleWithdrawn(1, rig.nowMs);
    expect(() => rig.bring({ password: 'x' })).toThrow(/No secrets were asked for/);
    expect(rig.pass(63)[0]).toBe('failure 1');
  });

  it.each([
    [LOGIN, 'username', 'password', 'VPN server', 'server'],
    [PROXY, 'http-proxy-username', 'http-proxy-password', 'proxy', 'proxy'],
  ] as const)(
    'goes with a user name that is asked for as well, where there is none: %o',
    (question, user, secret, who, refuser) => {
      const store = new SecretStore({ username: undefined, proxyUsername: undefined }, new Map([[secret, 'x']]));
      expect(store.answer(question)).toBeUndefined();
      expect(store.request(question)).toEqual({
        message: `The ${who} wants a user name and password.`,
        hints: [user, secret],
      });
      const enter = (username: string) =>
        store.take(
          new Map([
            [user, username],
            [secret, 'x'],
          ]),
          'root',
          question,
        );
      enter('alcie');
      expect(store.answer(question)).toEqual({ username: 'alcie', password: 'x' });
      store.refuse(question);
      expect(store.isRefusedAgain(question)).toBe(true);
      expect(store.answer(question)).toBeUndefined();
      expect(store.request(question)).toEqual({
        message: `The ${refuser} refused the user name and password. Enter it again.`,
        hints: [user, secret],
      });
      // The password was right all the time.
      enter('alice');
      expect(store.isRefusedAgain(question)).toBe(false);
      expect(store.answer(question)).toEqual({ username: 'alice', password: 'x' });
    },
  );
});

describe('a password at a proxy', () => {
  const stored = { password: 'right', 'http-proxy-password': 'wrong' };
  const refused = (): Rig => {
    const rig = new Rig();
    rig.connect({ secrets: secretsOf(stored) });
    expect(rig.after((machine) => machine.handleQuestion(1, PROXY))).toEqual(['answer 1 proxy wrong']);
    expect(rig.after((machine) => machine.handleQuestion(2, PROXY))).toEqual(['ask http-proxy-password']);
    return rig;
  };

  it('that is asked for a second time was refused, and the one that is brought then is another one', () => {
    const rig = refused();
    expect(rig.bring({ ...stored, 'http-proxy-password': 'right, too' })).toEqual(['answer 2 proxy right, too']);
    expect(rig.after((machine) => machine.handleQuestion(3, PROXY))).toEqual(['ask http-proxy-password']);
  });

  it('that was refused and is brought again is a failed login', () => {
    expect(refused().bring(stored)).toEqual(['failure 0', '5', '6', 'stop', 'quit']);
  });

  it('that was refused has nothing to do with the one at the server', () => {
    const rig = refused();
    rig.bring({ ...stored, 'http-proxy-password': 'right, too' });
    rig.after((machine) => machine.handleQuestion(3, LOGIN));
    rig.machine.handleRefusedAnswer(LOGIN);
    expect(rig.after((machine) => machine.handleQuestion(4, LOGIN))).toEqual(['ask password']);
  });

  it('without a user name is no login, and nobody is asked for ever who can not enter one', () => {
    const rig = new Rig();
    const nameless = { username: 'alice', proxyUsername: undefined };
    rig.connect({ secrets: new SecretStore(nameless, new Map(Object.entries(stored))) });
    const asked = ['ask http-proxy-username http-proxy-password'];
    expect(rig.after((machine) => machine.handleQuestion(1, PROXY))).toEqual(asked);
    expect(rig.bring(stored)).toEqual(['failure 0', '5', '6', 'stop', 'quit']);
  });

  it('that let somebody through is given again after a reconnection', () => {
    const rig = new Rig();
    rig.connect({ secrets: secretsOf(stored) });
    rig.after((machine) => machine.handleQuestion(1, PROXY));
    rig.after((machine) => machine.handleUp(configOf()));
    expect(rig.after((machine) => machine.handleQuestion(2, PROXY))).toEqual(['answer 2 proxy wrong']);
  });
});

describe('a challenge', () => {
  it.each([
    [false, 'x-dynamic-challenge:challenge-response'],
    [true, 'x-dynamic-challenge-echo:challenge-response'],
  ])('whose answer may be seen (%s) has the hint that dialogs know', (echo, hint) => {
    const rig = new Rig();
    rig.connect();
    expect(rig.after((machine) => machine.handleQuestion(1, { ...CHALLENGE, echo }))).toEqual([`ask ${hint}`]);
    expect(rig.bring({ password: 'right', 'challenge-response': '123' })).toEqual(['answer 1 123']);
    expect(rig.after((machine) => machine.handleQuestion(2, { ...CHALLENGE, echo }))).toEqual([`ask ${hint}`]);
    expect(rig.bring({ password: 'right', [hint]: '456' })).toEqual(['answer 2 456']);
  });

  it('goes by the name of the password where the dialogs are old, and leaves the password as it is', () => {
    const rig = new Rig();
    const secrets = new SecretStore(
      { username: 'alice', proxyUsername: undefined },
      new Map([['password', 'right']]),
      'password',
    );
    rig.connect({ secrets });
    expect(rig.after((machine) => machine.handleQuestion(1, CHALLENGE))).toEqual(['ask password']);
    expect(rig.bring({ password: '123' })).toEqual(['answer 1 123']);
    expect(rig.after((machine) => machine.handleQuestion(2, LOGIN))).toEqual(['answer 2 alice right']);
  });

  describe('that was answered wrong, or with a wrong password,', () => {
    const AUTH = { kind: 'login', of: 'Auth' } as const;
    const hint = 'x-dynamic-challenge:challenge-response';
    const refused = (): Rig => {
      const rig = new Rig();
      rig.connect();
      rig.after((machine) => machine.handleQuestion(1, LOGIN));
      rig.after((machine) => machine.handleQuestion(2, CHALLENGE));
      expect(rig.bring({ password: 'right', 'challenge-response': '111' })).toEqual(['answer 2 111']);
      rig.machine.handleRefusedAnswer(AUTH);
      expect(rig.after((machine) => machine.handleQuestion(3, LOGIN))).toEqual(['ask password']);
      return rig;
    };

    it('has both asked for again, and the same password counts', () => {
      const rig = refused();
      expect(rig.bring({ password: 'right' })).toEqual(['answer 3 alice right']);
      expect(rig.after((machine) => machine.handleQuestion(4, CHALLENGE))).toEqual([`ask ${hint}`]);
      expect(rig.bring({ password: 'right', 'challenge-response': '222' })).toEqual(['answer 4 222']);
    });

    it('has the same answer counted with another password', () => {
      const rig = refused();
      expect(rig.bring({ password: 'other' })).toEqual(['answer 3 alice other']);
      rig.after((machine) => machine.handleQuestion(4, CHALLENGE));
      expect(rig.bring({ password: 'other', 'challenge-response': '111' })).toEqual(['answer 4 111']);
    });

    it('is a failed login where both are brought again as they were', () => {
      const rig = refused();
      rig.bring({ password: 'right' });
      rig.after((machine) => machine.handleQuestion(4, CHALLENGE));
      expect(rig.bring({ password: 'right', 'challenge-response': '111' })).toEqual([
        'failure 0',
        '5',
        '6',
        'stop',
        'quit',
      ]);
    });

    it('is said to be one of the two', () => {
      const store = secretsOf({ password: 'right', 'challenge-response': '111' });
      store.answer(LOGIN);
      store.answer(CHALLENGE);
      store.refuse(AUTH);
      expect(store.request(LOGIN).message).toBe('The server refused the password or the answer. Enter both again.');
      store.take(new Map([['password', 'right']]), undefined, LOGIN);
      store.answer(LOGIN);
      store.refuse(AUTH);
      expect(store.request(LOGIN).message).toBe('The server refused the password. Enter it again.');
    });
  });

  it('shows the words of the server, of bounded length', () => {
    expect(secretsOf({}).request(CHALLENGE).message).toBe('Your code?');
    expect(secretsOf({}).request({ ...CHALLENGE, text: 'x'.repeat(9999) }).message.length).toBe(1024);
  });

  it('leaves the password as it is', () => {
    const rig = new Rig();
    rig.connect();
    rig.after((machine) => machine.handleQuestion(1, CHALLENGE));
    rig.bring({ password: 'right', 'challenge-response': '123' });
    expect(rig.after((machine) => machine.handleQuestion(2, LOGIN))).toEqual(['answer 2 alice right']);
  });
});

describe('other secrets', () => {
  it('are the passphrase of the key and the password at the proxy', () => {
    const store = secretsOf({ 'cert-pass': 'pp', 'http-proxy-password': 'hp' });
    expect(store.answer({ kind: 'passphrase' })).toEqual({ passphrase: 'pp' });
    expect(store.answer({ kind: 'login', of: 'HTTP Proxy' })).toEqual({ username: 'proxy', password: 'hp' });
    expect(store.answer({ kind: 'login', of: 'HTTP Proxy' })).toBeUndefined();
    expect(store.request({ kind: 'login', of: 'HTTP Proxy' }).hints).toEqual(['http-proxy-password']);
    store.refuse({ kind: 'passphrase' });
    expect(store.answer({ kind: 'passphrase' })).toBeUndefined();
    expect(store.request({ kind: 'passphrase' })).toEqual({
      message: 'The passphrase does not open the private key. Enter it again.',
      hints: ['cert-pass'],
    });
  });

  const need = (data: Record<string, string>, secrets: Record<string, string> = {}, encrypted = false) =>
    needsSecrets({ data: new Map(Object.entries(data)), secrets: new Map(Object.entries(secrets)) }, encrypted);
  const tls = { 'connection-type': 'tls' };
  const password = { 'connection-type': 'password' };

  it.each([
    ['a certificate alone needs none', tls, {}, false, false],
    ['an encrypted key needs its passphrase', tls, {}, true, true],
    ['an encrypted key has its passphrase', tls, { 'cert-pass': 'x' }, true, false],
    ['a login needs a password', password, {}, false, true],
    ['a login has its password', password, { password: 'x' }, false, false],
    ['a login that needs no password', { ...password, 'password-flags': '4' }, {}, false, false],
    ['a login that is not saved', { ...password, 'password-flags': '2' }, {}, false, true],
    ['both need both', { 'connection-type': 'password-tls' }, { password: 'x' }, true, true],
    ['the key of a password connection is none', password, { password: 'x' }, true, false],
    ['a user at a proxy needs a password', { ...tls, 'http-proxy-username': 'u' }, {}, false, true],
    ['a user at a proxy has one', { ...tls, 'http-proxy-username': 'u' }, { 'http-proxy-password': 'x' }, false, false],
  ])('are asked for before connecting: %s', (_, data, secrets, encrypted, needed) => {
    expect(need(data, secrets, encrypted)).toBe(needed);
  });
});

describe('what went wrong', () => {
  it.each([
    ['SALLYPORT_AUTH_FAILED', '', Failure.loginFailed],
    ['SALLYPORT_CREDENTIALS', '', Failure.loginFailed],
    ['SALLYPORT_TLS', 'the peer refused our certificate (alert unknown_ca): x', Failure.loginFailed],
    ['SALLYPORT_TLS', 'no common TLS parameters (alert handshake_failure)', Failure.connectFailed],
    ['SALLYPORT_CERTIFICATE', 'The certificate has the wrong name', Failure.connectFailed],
    ['SALLYPORT_NO_ANSWER', '', Failure.connectFailed],
    ['SALLYPORT_CONFIG', '', Failure.connectFailed],
    [undefined, '', Failure.connectFailed],
  ] as const)('%s "%s" is told as %i', (code, message, reason) => {
    expect(failureOf({ code, message })).toBe(reason);
  });

  it.each([
    ['SALLYPORT_CERTIFICATE', 'x', false, true],
    ['SALLYPORT_CERTIFICATE', 'not yet valid', true, false],
    ['SALLYPORT_TLS', 'failed: its authority is unknown (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)', true, true],
    ['SALLYPORT_TLS', 'the peer says that it has expired (alert certificate_expired)', true, true],
    ['SALLYPORT_TLS', 'the connection was reset (ECONNRESET)', true, false],
    ['SALLYPORT_NO_ANSWER', 'x', false, false],
    ['SALLYPORT_WRAP', 'x', false, true],
  ] as const)('%s "%s" (worth another try: %s) ends at once: %s', (code, message, retry, final) => {
    expect(isFinal({ code, message, retry })).toBe(final);
  });
});
