import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseControlMessage,
  parseControlMessages,
  redactControlText,
  writeControlMessage,
} from '../../src/wire/control-message.ts';
import { PushReplyJoiner, splitPushOptions, writePushReply } from '../../src/wire/push-reply.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('control messages', () => {
  it('are split on NUL, without line ends, and without those that have control characters', () => {
    const { messages, dropped } = parseControlMessages(bytes('EXIT\r\n\0\0INFO,a\nb\0INFO,ü\0HALT\u0085\0RESTART'));
    expect(messages.map(({ text }) => text)).toEqual(['EXIT', 'INFO,ü']);
    expect(dropped).toBe(3);
  });

  it('mean what their beginning says', () => {
    const type = (text: string) => parseControlMessage(text).type;
    expect(
      [
        'PUSH_REQUEST',
        'PUSH_REPLY,a',
        'PUSH_REPLY',
        'PUSH_UPDATE,a',
        'PUSH_REPLYx',
        'INFO_PRE,x',
        'INFO,x',
        'HALT',
        'auth_failed',
      ].map(type),
    ).toEqual([
      'push-request',
      'push-reply',
      'push-reply',
      'push-update',
      'other',
      'info-pre',
      'info',
      'halt',
      'other',
    ]);
    expect(parseControlMessage('AUTH_PENDING,timeout 30,x')).toMatchObject({ timeoutSeconds: 30 });
    expect(parseControlMessage('AUTH_PENDING')).toMatchObject({ timeoutSeconds: undefined });
    expect(parseControlMessage('RESTART,[N]x')).toMatchObject({ advance: true, keepCredentials: false });
    expect(parseControlMessage('RESTART,PN')).toMatchObject({ advance: false, keepCredentials: false });
    expect(parseControlMessage('AUTH_FAILED,TEMP[advance addr]')).toMatchObject({
      temporary: { advance: 'address', backoffSeconds: undefined },
    });
    expect(parseControlMessage('AUTH_FAILED,TEMP[backoff soon,dance,backoff 3]: later')).toMatchObject({
      reason: ' later',
      temporary: { backoffSeconds: 3, advance: 'no', unknown: ['backoff soon', 'dance'] },
    });
    const many = parseControlMessage(`AUTH_FAILED,TEMP[${'x,'.repeat(100)}]`);
    expect(many.type === 'auth-failed' && many.temporary?.unknown).toHaveLength(8);
    expect(parseControlMessage('AUTH_FAILED,TEMP:later')).toMatchObject({
      reason: 'later',
      temporary: { advance: 'no' },
    });
  });

  it('never throw, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (random) => void parseControlMessages(random)));
    expect(() => writeControlMessage('a\0b')).toThrow(TypeError);
  });

  it('lose their secrets for the log', () => {
    expect(redactControlText('PUSH_REPLY,auth-token SESS_ID_abc,echo password x,route 1')).toBe(
      'PUSH_REPLY,auth-token ,echo ,route 1',
    );
    expect(redactControlText('AUTH_FAILED,SESS_ID_secret,x')).toBe('AUTH_FAILED,SESS_ID_,x');
  });
});

describe('push replies', () => {
  it.each([
    ['a,b c,,d ', ['a', 'b c', 'd']],
    ['setenv X "a,b",c', ['setenv X "a,b"', 'c']],
    ["setenv X 'a,b',c", ["setenv X 'a,b'", 'c']],
    ['setenv X "a\\",b",c', ['setenv X "a\\",b"', 'c']],
    ['a\\,b,c', ['a\\,b', 'c']],
    ['it"s,fine,5"', ['it"s', 'fine', '5"']],
    ['x "open,next', ['x "open', 'next']],
    ['trailing\\', ['trailing\\']],
    ['', []],
  ])('%j splits at commas outside quotes that close', (body, options) => {
    expect(splitPushOptions(body)).toEqual(options);
  });

  it('are split and joined again, fragments of at most 1024 characters', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z][a-z0-9 .]{0,80}[a-z]$/), { maxLength: 200 }), (options) => {
        const joiner = new PushReplyJoiner();
        const texts = writePushReply(options);
        const verdicts = texts.map((text) => {
          expect(text.length).toBeLessThanOrEqual(1024);
          const message = parseControlMessage(text);
          if (message.type !== 'push-reply') throw new Error(text);
          return joiner.handleFragment(message.body);
        });
        expect(verdicts.at(-1)).toEqual({ complete: true, options });
        expect(verdicts.slice(0, -1).every((verdict) => 'complete' in verdict && !verdict.complete)).toBe(true);
      }),
    );
    expect(() => writePushReply(['x'.repeat(1024)])).toThrow(RangeError);
  });

  it('are split where OpenVPN 2.7.8 splits them', () => {
    const routes = Array.from({ length: 60 }, (_, i) => `route 10.${100 + i}.0.0 255.255.0.0 vpn_gateway ${i}`);
    const rest = [
      ...['route-gateway 10.8.0.1', 'topology subnet', 'ping 10', 'ping-restart 60'],
      ...['ifconfig 10.8.0.2 255.255.255.0', 'peer-id 0', 'cipher AES-256-GCM'],
      ...['protocol-flags cc-exit tls-ekm dyn-tls-crypt', 'tun-mtu 1500'],
    ];
    const texts = writePushReply([...routes, ...rest]);
    // Observed: the number of bytes and of commas of each.
    expect(texts.map((text) => [text.length, text.split(',').length - 1])).toEqual([
      [944, 22],
      [954, 22],
      [946, 26],
      [88, 3],
    ]);
  });

  it.each([
    [929, 1],
    [930, 'too long'],
  ])('of one option of %i bytes: %s', (length, expected) => {
    const write = () => writePushReply(['x'.repeat(length)]);
    if (typeof expected === 'number') expect(write()).toHaveLength(expected);
    else expect(write).toThrow(RangeError);
  });

  it('count bytes, not characters', () => {
    expect(() => writePushReply(['ü'.repeat(470)])).toThrow(RangeError);
  });

  it('have a bound over all their fragments', () => {
    const joiner = new PushReplyJoiner();
    let verdict = joiner.handleFragment('a,push-continuation 2');
    for (let i = 0; i < 70_000 && !('problem' in verdict); i++)
      verdict = joiner.handleFragment('a,push-continuation 2');
    expect(verdict).toEqual({ problem: 'too-big' });
    expect(joiner.handleFragment('b')).toEqual({ complete: true, options: ['b'] });
  });

  it('with ten thousand routes are taken', () => {
    const options = Array.from({ length: 10_000 }, (_, i) => `route 10.${i >> 8}.${i & 255}.0 255.255.255.0`);
    const joiner = new PushReplyJoiner();
    const last = writePushReply(options)
      .map((text) => joiner.handleFragment(text.slice('PUSH_REPLY,'.length)))
      .at(-1);
    expect(last).toEqual({ complete: true, options });
  });
});
