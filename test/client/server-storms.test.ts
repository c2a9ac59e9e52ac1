import { describe, expect, it } from 'vitest';
import { ClientLab, SUCCESS } from '../lab/client-lab.ts';

/** What a server, or whoever has its key, may say at any time. */
const WORDS = [
  'AUTH_FAILED',
  'AUTH_FAILED,TEMP[backoff 1,advance no]:later',
  'AUTH_FAILED,CRV1:R,E:c3RhdGU=:YWxpY2U=:code?',
  'AUTH_FAILED,CRV1:malformed',
  'AUTH_PENDING,timeout 3',
  'INFO_PRE,CR_TEXT:R,E:code?',
  'INFO_PRE,WEB_AUTH::https://example.org/',
  'RESTART',
  'RESTART,[P]again',
  'HALT',
  'EXIT',
  'PUSH_UPDATE,route 10.30.0.0 255.255.0.0',
  'PUSH_UPDATE,-route,push-continuation 2',
  'PUSH_UPDATE,push-continuation 1',
  'PUSH_UPDATE,ifconfig 10.8.0.9 255.255.255.0,tun-mtu 1300',
  'PUSH_UPDATE,cipher AES-128-GCM',
  'PUSH_UPDATE',
  'PUSH_REPLY',
  'PUSH_REPLY,ifconfig 10.8.0.3 255.255.255.0,topology subnet,peer-id 1,cipher AES-256-GCM',
  'PUSH_REQUEST',
  'CR_RESPONSE,YQ==',
  '',
  'x'.repeat(900),
] as const;
/** More were looked at by hand. */
const STORMS = 60;
const SIGNALS = ['SIGUSR1', 'SIGUSR1', 'SIGHUP', 'SIGTERM'] as const;

/** A small generator: the same storm for the same number. */
function dice(seed: number): (sides: number) => number {
  let state = seed * 2_654_435_761;
  return (sides) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e37_79b9) | 0;
    return (state >>> 4) % sides;
  };
}

const PROFILES: readonly (readonly string[])[] = [
  [],
  [
    'persist-tun',
    'script-security 2',
    'up /up',
    'down /down',
    'up-restart',
    'route-up /route-up',
    'tls-verify /verify',
  ],
  ['proto tcp', 'persist-tun', 'auth-user-pass login', 'auth-retry interact'],
  [
    'explicit-exit-notify 2',
    'persist-tun',
    'auth-user-pass',
    'auth-retry interact',
    'reneg-sec 5',
    'connect-retry 1 2',
  ],
  ['remap-usr1 SIGTERM', 'auth-user-pass login', 'auth-retry nointeract', 'inactive 20', 'ping-exit 15'],
];

describe('a server that says anything at any moment', () => {
  for (let seed = 0; seed < STORMS; seed++) {
    it(`leaves nothing behind at the end of storm ${seed}`, async () => {
      const roll = dice(seed + 1);
      const lab = new ClientLab('remote 198.51.100.1 1194', ...(PROFILES[seed % PROFILES.length] ?? []));
      lab.server.push = [
        'route 10.20.0.0 255.255.0.0',
        'ping-restart 60',
        'protocol-flags cc-exit tls-ekm',
        'auth-token abc',
      ];
      lab.answers = Array.from({ length: 200 }, () => ({ username: 'alice', password: 'secret' }));
      if (roll(2) === 0) lab.challenges = { respond: () => Promise.resolve('123') } as never;
      lab.script = () =>
        new Promise((resolve) => lab.clock.happens(lab.clock.nowMs + roll(2000), () => resolve(SUCCESS)));
      lab.start();
      const calm = 2 + roll(40);
      for (let step = 0; step < 400 && lab.end === undefined; step++) {
        await lab.settle();
        lab.clock.step(lab.clock.nowMs + 5000);
        for (let times = roll(calm) === 0 ? 1 + roll(3) : 0; times > 0 && lab.server.count > 0; times--) {
          const kind = roll(24);
          if (kind < 14) lab.server.last.say(WORDS[roll(WORDS.length)] as string);
          else if (kind === 14) lab.server.last.renegotiate();
          else if (kind === 15) lab.client.lookAtHost();
          else if (kind === 16) lab.client.renegotiate();
          else if (kind === 17) lab.client.forgetPasswords();
          else if (kind === 18) lab.signal(SIGNALS[roll(roll(4) === 0 ? 4 : 2)] as 'SIGTERM');
          else if (kind === 19) lab.server.silent = roll(2) === 0;
        }
      }
      lab.server.silent = false;
      if (lab.end === undefined) lab.signal('SIGTERM');
      await lab.gone();
      expect(lab.log.filter((line) => /TypeError|undefined|is not a function|Cannot read/.test(line))).toEqual([]);
    });
  }
});
