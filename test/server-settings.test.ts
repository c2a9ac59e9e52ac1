import { describe, expect, it } from 'vitest';
import { parseConfig } from '../src/config/parse.ts';
import { type ServerSettings, settingsText } from '../src/server-settings.ts';

const material = { ca: 'ca.crt', cert: 'server.crt', key: 'server.key' };
const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

const parse = (settings: Partial<ServerSettings>) => {
  const { config, findings } = parseConfig(
    { text: settingsText({ ...material, ...settings }), file: 'settings' },
    { readText: () => undefined, checksLogins: true },
  );
  if (config === undefined) throw new Error(findings.map(({ message }) => message).join('\n'));
  return config;
};

describe('settings', () => {
  it('of the least kind serve a network by UDP on port 1194', () => {
    const config = parse({ network: '10.8.0.0/24' });
    expect(config.server).toMatchObject({
      listens: [{ host: undefined, port: '1194', proto: { transport: 'udp' } }],
      pool4: { first: '10.8.0.2', last: '10.8.0.254', netmask: '255.255.255.0' },
      verifyClientCert: 'require',
      clientToClient: false,
    });
    expect(config.tunnel).toMatchObject({ topology: 'subnet', ping: 10, pingRestart: 120 });
    expect(config.tls.ca).toMatchObject({ kind: 'file', path: 'ca.crt' });
  });

  it('become the options that they are named after', () => {
    const config = parse({
      network: '10.9.0.0/16',
      network6: 'fd00:9::/64',
      listen: [{ port: 1195 }, { host: '127.0.0.1', port: 443, proto: 'tcp4' }],
      ca: pem,
      crl: 'crl.pem',
      tlsCrypt: 'shared.key',
      tlsCryptV2: 'v2.key',
      push: ['route 10.77.0.0 255.255.255.0', 'dhcp-option DOMAIN "two words"'],
      keepalive: [5, 20],
      clientToClient: true,
      maxClients: 3,
      workers: 2,
      clientCertificate: 'none',
      usernameAsCommonName: true,
      deviceName: 'office',
      options: 'duplicate-cn\nverb 4',
    });
    expect(config.server).toMatchObject({
      listens: [
        { host: undefined, port: '1195', proto: { transport: 'udp' } },
        { host: '127.0.0.1', port: '443', proto: { transport: 'tcp-server', family: 4 } },
      ],
      pool6: { prefixLength: 64 },
      clientToClient: true,
      duplicateCn: true,
      maxClients: 3,
      verifyClientCert: 'none',
      usernameAsCommonName: true,
      wraps: [{ kind: 'tls-crypt' }, { kind: 'tls-crypt-v2' }],
    });
    expect(config.server?.push).toEqual(
      expect.arrayContaining(['route 10.77.0.0 255.255.255.0', 'dhcp-option DOMAIN "two words"', 'ping 5']),
    );
    expect(config.device).toMatchObject({ name: 'office', type: 'tun' });
    expect(config.process).toMatchObject({ workers: 2 });
    expect(config.tls.ca).toMatchObject({ kind: 'inline', text: pem });
    expect(config.tls.crlVerify).toMatchObject({ source: { path: 'crl.pem' } });
  });

  it('can not add lines by their values', () => {
    expect(parse({ network: '10.8.0.0/24', ca: 'a file "with" quotes \\ and # more' }).tls.ca).toMatchObject({
      path: 'a file "with" quotes \\ and # more',
    });
    expect(() => parse({ network: '10.8.0.0/24', crl: 'x\nuser root' })).toThrow();
    expect(() => parse({ network: '10.8.0.0/24', ca: `${pem}</ca>\nuser root\n<ca>\n${pem}` })).toThrow();
  });

  it.each([
    [
      { netwrok: '10.8.0.0/24' },
      /^There is no setting "netwrok" of the server's configuration; there are network, .*, options$/,
    ],
    [{ listen: { address: '::1' } }, /^There is no setting "address" of listen; there are host, port, proto$/],
    [
      { listen: [{ port: 1 }, { addres: 'x' }] },
      /^There is no setting "addres" of listen; there are host, port, proto$/,
    ],
    [{ listen: 1194 }, /^listen: this has to be an object, and is of type number$/],
  ])('refuse a name that is none: %j', (settings, message) => {
    expect(() => parse(settings as Partial<ServerSettings>)).toThrow(
      expect.objectContaining({ code: 'SALLYPORT_CONFIG', blame: 'config', message: expect.stringMatching(message) }),
    );
  });

  it('may have names without a value', () => {
    const settings = { network: '10.8.0.0/24', listen: { host: undefined, proto: undefined }, crl: undefined };
    expect(parse(settings as unknown as ServerSettings).server).toMatchObject({ listens: [{ port: '1194' }] });
  });

  it.each(['office', 'fd00::/64', '10.8.0.0/33', '10.8.0.0'])('refuse the network %s', (network) => {
    expect(() => parse({ network })).toThrow(`network "${network}" is not an IPv4 network`);
  });
});
