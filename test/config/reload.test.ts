import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { reloadConfig } from '../../src/config/reload.ts';

const base = `dev tun
topology subnet
server 10.8.0.0 255.255.255.0
dh none
ca ca.crt
cert server.crt
key server.key
keepalive 10 60
`;

function config(...lines: readonly string[]): Config {
  const parsed = parseConfig(
    { text: `${base}${lines.join('\n')}\n`, file: 'server.conf' },
    { readText: () => undefined },
  );
  if (parsed.config === undefined) throw new Error(JSON.stringify(parsed.findings));
  return parsed.config;
}

const limits = { checksLogins: false, mostClients: 1024 };
const reload = (running: Config, next: Config) => reloadConfig(running, next, limits);

describe('a configuration read again', () => {
  it('takes over what new clients go by', () => {
    const next = config('push "route 10.1.0.0 255.255.0.0"', 'max-clients 7', 'client-config-dir ccd', 'verb 5');
    const change = reload(config('max-clients 9'), next);
    expect([...change.applied].sort()).toEqual(['client-config-dir', 'max-clients', 'push', 'verb']);
    expect(change.needRestart).toEqual([]);
    expect(change.config.server).toMatchObject({ maxClients: 7, clientConfigDir: 'ccd' });
    expect(change.config.server?.push).toContain('route 10.1.0.0 255.255.0.0');
    expect(change.config.process.verb).toBe(5);
  });

  it('keeps what needs a restart, and what follows from it', () => {
    const text = base.replace('10.8.0.0', '10.9.0.0').replace('dev tun', 'dev office\ndev-type tun');
    const { config: next } = parseConfig(
      { text: `${text}port 1195\nuser nobody\n`, file: 'x' },
      { readText: () => undefined },
    );
    const running = config();
    const change = reload(running, next as Config);
    expect(change.applied).toEqual([]);
    expect([...change.needRestart].sort()).toEqual(['dev', 'dev-type', 'port', 'server', 'user']);
    expect(change.config.server).toEqual({
      ...running.server,
      listens: running.server?.listens.map((listen) => ({ ...listen, origin: expect.anything() })),
    });
    expect(change.config.device).toEqual(running.device);
    expect(change.config.tunnel.ifconfig).toEqual(running.tunnel.ifconfig);
  });

  it('forgets what is not written any more', () => {
    const change = reload(
      config('push "route 10.1.0.0 255.255.0.0"', 'ccd-exclusive', 'client-config-dir ccd'),
      config(),
    );
    expect([...change.applied].sort()).toEqual(['ccd-exclusive', 'client-config-dir', 'push']);
    expect(change.config.server).toMatchObject({ clientConfigDir: undefined, ccdExclusive: false });
    expect(change.config.server?.push).not.toContain('route 10.1.0.0 255.255.0.0');
  });

  it('sees another number or order of the same option', () => {
    const one = 'push "route 10.1.0.0 255.255.0.0"';
    const two = 'push "route 10.2.0.0 255.255.0.0"';
    expect(reload(config(one, two), config(two, one)).applied).toEqual(['push']);
    expect(reload(config(one), config(one, one)).applied).toEqual(['push']);
    expect(reload(config(one, 'verb 3', two), config(one, two, 'verb 3')).applied).toEqual([]);
  });

  it('raises max-clients as far as there is room', () => {
    expect(reload(config(), config('max-clients 1024'))).toMatchObject({ applied: ['max-clients'], needRestart: [] });
    const beyond = reload(config(), config('max-clients 1025'));
    expect(beyond).toMatchObject({ applied: [], needRestart: ['max-clients'] });
    expect(beyond.config.server?.maxClients).toBe(1024);
  });

  it('is refused where new options do not go with old ones that stay', () => {
    const next = config(
      'topology net30'.replace('net30', 'subnet'),
      'verify-client-cert none',
      'auth-user-pass-verify check via-env',
      'script-security 3',
    );
    expect(reload(config(), next).applied).toContain('verify-client-cert');
    const unjudged = parseConfig(
      { text: `${base}verify-client-cert none\n`, file: 'x' },
      { readText: () => undefined, checksLogins: true },
    ).config as Config;
    expect(() => reload(config(), unjudged)).toThrowError(expect.objectContaining({ code: 'SALLYPORT_CONFIG' }));
  });
});
