import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/parse.ts';

const SERVER = ['server 10.8.0.0 255.255.255.0', 'ca a', 'cert b', 'key c', 'dh none', 'dev tun', 'keepalive 10 60'];

function parse(...lines: readonly string[]) {
  const { config, findings } = parseConfig(
    { file: 'office.conf', text: [...SERVER, ...lines].join('\n') },
    { readText: () => undefined },
  );
  return { plugins: config?.scripts.plugins, errors: findings.filter(({ severity }) => severity === 'error') };
}

it.each([
  ['/usr/lib/openvpn/plugins/openvpn-plugin-auth-pam.so login', 'login', []],
  ['openvpn-auth-pam.so "login"', 'login', []],
  [
    'openvpn-plugin-auth-pam.so "login login USERNAME password PASSWORD"',
    'login',
    ['login=USERNAME', 'password=PASSWORD'],
  ],
  [`openvpn-plugin-auth-pam.so "login 'one word' 'a b'"`, 'login', ['one word=a b']],
  ['openvpn-plugin-auth-pam.so login pin OTP', 'login', ['pin=OTP']],
])('plugin %s asks the service %s', (words, service, answers) => {
  const { plugins, errors } = parse(`plugin ${words}`);
  expect(errors).toEqual([]);
  expect(plugins).toMatchObject([{ kind: 'auth-pam', service }]);
  const [plugin] = plugins ?? [];
  expect(plugin?.kind === 'auth-pam' && plugin.answers.map(({ query, answer }) => `${query}=${answer}`)).toEqual(
    answers,
  );
});

it.each([
  ['openvpn-plugin-auth-pam.so', /need PAM service parameter/],
  ['openvpn-plugin-auth-pam.so ../passwd', /need PAM service parameter/],
  ['openvpn-plugin-auth-pam.so "login password"', /bad name\/value list length/],
  [`openvpn-plugin-auth-pam.so "login ${'a b '.repeat(17)}"`, /bad name\/value list length/],
  ['openvpn-plugin-auth-pam.so "login \'open"', /quot/i],
  ['openvpn-plugin-down-root.so', /need down script command/],
  ['/usr/lib/radiusplugin.so radius.cnf', /plugin radiusplugin\.so cannot be loaded: it is native code/],
  ['openvpn-plugin-auth-pam.so.1 login', /cannot be loaded/],
])('plugin %s is refused', (words, message) => {
  const { errors } = parse(`plugin ${words}`);
  expect(errors).toMatchObject([{ origin: { file: 'office.conf', line: 8 }, option: 'plugin' }]);
  expect(errors[0]?.message).toMatch(message);
  expect(errors[0]?.advice).not.toBe('');
});

it('down-root has a command', () => {
  expect(parse('plugin openvpn-plugin-down-root.so "/etc/down.sh one"').plugins).toMatchObject([
    { kind: 'down-root', command: ['/etc/down.sh', 'one'] },
  ]);
});

it('a server with auth-pam needs no program that checks passwords', () => {
  const lines = ['verify-client-cert none', 'username-as-common-name'];
  expect(parse(...lines).errors.length).toBeGreaterThan(0);
  expect(parse(...lines, 'plugin openvpn-plugin-auth-pam.so login').errors).toEqual([]);
});

it('x509-track takes what OpenSSL knows, with a plus for the whole chain', () => {
  const { config, findings } = parseConfig(
    {
      file: 'a.conf',
      text: [
        ...SERVER,
        'x509-track CN',
        'x509-track +SHA256',
        'x509-track certificatePolicies',
        'x509-track nosuch',
      ].join('\n'),
    },
    { readText: () => undefined },
  );
  expect(config).toBeUndefined();
  expect(findings.filter(({ option }) => option === 'x509-track')).toMatchObject([
    { severity: 'warning', origin: { line: 10 } },
    { severity: 'error', origin: { line: 11 }, message: "x509_track: no such attribute 'nosuch'" },
  ]);
});
