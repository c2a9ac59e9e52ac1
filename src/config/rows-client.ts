// Option rows: pulling from a server, credentials, the management interface.

import { type OptionRow, row, WORKS } from './option-row.ts';

const CLIENT = { side: 'client' } as const;

export const CLIENT_ROWS: readonly OptionRow[] = [
  row('client', '', 0, 'general', WORKS, 'A client: pull and tls-client.', CLIENT),
  row('pull', '', 0, 'general', WORKS, 'Take options from the server.', CLIENT),
  row(
    'pull-filter',
    'accept|ignore|reject text',
    2,
    'general',
    WORKS,
    'What to do with pushed options that begin with text.',
    CLIENT,
  ),
  row('allow-pull-fqdn', '', 0, 'general', WORKS, 'Let the server push names where addresses belong.', CLIENT),
  row('push-peer-info', '', 0, 'general', WORKS, 'Tell the server more about this machine.', CLIENT),
  row('auth-user-pass', '[file|username-only]', [0, 1], 'general', WORKS, 'Log in with user name and password.', {
    side: 'client',
    contexts: ['inline'],
  }),
  row('auth-nocache', '', 0, 'general', WORKS, 'Forget passwords once they are used.', CLIENT),
  row('auth-retry', 'none|nointeract|interact', 1, 'general', WORKS, 'What to do after a refused login.', {
    side: 'client',
    default: 'none',
  }),
  row('static-challenge', 'text echo [format]', [2, 3], 'general', WORKS, 'Ask for a one-time code too.', CLIENT),
  row('auth-token', 'token', 1, 'echo', WORKS, 'Log in with this instead of the password from now on.', {
    side: 'client',
    contexts: ['ccd'],
  }),
  row('auth-token-user', 'base64', 1, 'echo', WORKS, 'User name that belongs to auth-token.', {
    side: 'client',
    contexts: ['ccd'],
  }),
  row('peer-id', 'n', 1, 'peer-id', WORKS, 'Internal: number of this client, pushed by the server.', CLIENT),
  row('key-derivation', 'tls-ekm', [1, 15], 'ncp', WORKS, 'Internal: pushed by the server.', CLIENT),
  row('protocol-flags', 'flag…', [1, 15], 'ncp', WORKS, 'Internal: pushed by the server.', CLIENT),
  row('push-continuation', '0|1|2', 1, 'pull-mode', WORKS, 'Internal: more of the push reply follows.', {
    side: 'client',
    contexts: ['pushed-only', 'push-update'],
  }),

  row('management', 'address port|unix [pw-file]', [2, 3], 'general', WORKS, 'Listen for a management client.'),
  row('management-client', '', 0, 'general', WORKS, 'Connect to the management client instead.'),
  row('management-client-user', 'user', 1, 'general', WORKS, 'Only this user may connect.'),
  row('management-client-group', 'group', 1, 'general', WORKS, 'Only this group may connect.'),
  row('management-query-passwords', '', 0, 'general', WORKS, 'Ask the management client for passwords.'),
  row('management-query-remote', '', 0, 'general', WORKS, 'Ask the management client about remotes.', CLIENT),
  row('management-query-proxy', '', 0, 'general', WORKS, 'Ask the management client about proxies.', CLIENT),
  row('management-hold', '', 0, 'general', WORKS, 'Wait for the management client before starting.'),
  row('management-signal', '', 0, 'general', WORKS, 'Restart when the management client goes.'),
  row('management-forget-disconnect', '', 0, 'general', WORKS, 'Forget passwords when the management client goes.'),
  row('management-up-down', '', 0, 'general', WORKS, 'Tell the management client of tunnel up and down.'),
  row(
    'management-external-key',
    '[nopadding] [pkcs1] [pss] [digest]',
    [0, 15],
    'general',
    WORKS,
    'The management client has the private key and signs.',
    CLIENT,
  ),
  row(
    'management-external-cert',
    'hint',
    1,
    'general',
    WORKS,
    'The management client has the certificate, too.',
    CLIENT,
  ),
  row('management-client-auth', '', 0, 'general', WORKS, 'The management client decides about logins.', {
    side: 'server',
  }),
  row('management-log-cache', 'n', 1, 'general', WORKS, 'Log lines kept for the management client.', {
    default: '250',
  }),
];
