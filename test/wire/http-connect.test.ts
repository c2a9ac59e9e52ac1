import { describe, expect, it } from 'vitest';
import { connectLines, type HttpConnect, writeConnect } from '../../src/wire/http-connect.ts';

const request: HttpConnect = {
  host: 'vpn.example',
  port: '443',
  version: '1.0',
  agent: undefined,
  headers: [],
  authorization: undefined,
};
const text = (change: Partial<HttpConnect>): string => Buffer.from(writeConnect({ ...request, ...change })).toString();

describe('the request for a way', () => {
  it('names the server and its host', () => {
    expect(text({})).toBe('CONNECT vpn.example:443 HTTP/1.0\r\nHost: vpn.example\r\n\r\n');
  });

  it('puts an IPv6 address in brackets', () => {
    expect(text({ host: '2001:db8::1' })).toBe('CONNECT [2001:db8::1]:443 HTTP/1.0\r\nHost: [2001:db8::1]\r\n\r\n');
  });

  it('has own headers before the agent, and the login last', () => {
    const headers = [
      { name: 'X-One', content: 'first' },
      { name: 'X-Two: second', content: undefined },
    ];
    expect(text({ headers, agent: 'me', version: '1.1', authorization: 'Basic eA==' })).toBe(
      'CONNECT vpn.example:443 HTTP/1.1\r\nX-One: first\r\nX-Two: second\r\nHost: vpn.example\r\nUser-Agent: me\r\nProxy-Authorization: Basic eA==\r\n\r\n',
    );
  });

  it.each([
    { name: 'host', content: 'other' },
    { name: 'Host: other', content: undefined },
  ])('has one Host where the profile writes it: %o', (header) => {
    expect(text({ headers: [header] }).match(/host:/gi)?.length).toBe(1);
  });

  it('lets no part of it begin a line of its own', () => {
    const headers = [{ name: 'A', content: 'b\r\nC: d' }];
    expect(text({ host: 'h\r\nX: y', agent: 'z\n', headers }).split('\r\n').length).toBe(6);
  });

  it('has no login among the lines for the log', () => {
    expect(connectLines({ ...request, authorization: 'Basic eA==' }).join()).not.toContain('eA==');
  });
});
