// Option rows: what belongs to Windows, and what OpenVPN has removed. A profile written for all systems must not fail here
// because of a Windows line; a removed option is treated as the C program treats it, unless profiles and NetworkManager
// still carry it.

import { MANY, noEffect, type OptionClass, type OptionRow, type OptionSide, refused, row } from './option-row.ts';

const WINDOWS = noEffect('it is for Windows', 'Nothing: it can stay for the sake of Windows users.');

const windows = (
  name: string,
  args: string,
  words: number | readonly [number, number],
  help: string,
  classes: OptionClass = 'dhcpdns',
  side: OptionSide = 'both',
): OptionRow =>
  row(name, args, words, classes, WINDOWS, help, {
    side,
    ...(name === 'block-outside-dns' ? { contexts: ['push-update'] } : {}),
  });

const removed = (
  name: string,
  words: number | readonly [number, number],
  since: string,
  reason: string,
  advice: string,
  side: OptionSide = 'both',
): OptionRow =>
  row(name, '', words, 'general', refused(reason, advice), `Removed in OpenVPN ${since}.`, {
    side,
    deprecated: { since, instead: advice },
    ...(name === 'mtu-dynamic' ? { contexts: ['connection'] } : {}),
  });

const ignored = (
  name: string,
  args: string,
  words: number | readonly [number, number],
  since: string,
  reason: string,
  instead: string,
  side: OptionSide = 'both',
  classes: OptionClass = 'general',
): OptionRow =>
  row(name, args, words, classes, noEffect(reason, instead), `Ignored; removed in OpenVPN ${since}.`, {
    side,
    deprecated: { since, instead },
  });

export const PAST_ROWS: readonly OptionRow[] = [
  windows('windows-driver', 'name', 1, 'Driver of the network device.', 'general'),
  windows('ip-win32', 'method …', [1, 3], 'How addresses are set.'),
  windows('route-method', 'adaptive|ipapi|exe', 1, 'How routes are set.', 'route-extras'),
  windows('win-sys', 'path', 1, 'Where Windows is.', 'general'),
  windows('tap-sleep', 'seconds', 1, 'Wait after the device is opened.'),
  windows('dhcp-renew', '', 0, 'Renew the DHCP lease of the device.'),
  windows('dhcp-pre-release', '', 0, 'Release the DHCP lease first.'),
  windows('dhcp-release', '', 0, 'Release the DHCP lease at the end.'),
  windows('register-dns', '', 0, 'Register the name of the device.'),
  windows('block-outside-dns', '', 0, 'Block DNS outside the tunnel.', 'dhcpdns', 'client'),
  windows('show-net-up', '', 0, 'Log the routes.', 'up'),
  windows('pause-exit', '', 0, 'Wait for a key at the end.', 'general'),
  windows('service', 'event [0|1]', [1, 2], 'Run under a service.', 'general'),
  windows('cryptoapicert', 'selector', 1, 'Certificate in the Windows store.', 'general', 'client'),
  windows('msg-channel', 'handle', [1, MANY], 'Pipe of the service.', 'general', 'client'),
  windows('show-adapters', '', 0, 'List network devices.', 'general'),
  windows('show-net', '', 0, 'List routes.', 'general'),
  windows('show-valid-subnets', '', 0, 'List possible subnets.', 'general'),
  windows('allow-nonadmin', '[device]', [0, 1], 'Let users open the device.', 'general'),

  ignored('keysize', 'bits', 1, '2.6', 'the cipher name says the key size', 'Leave it out.'),
  ignored('ncp-disable', '', 0, '2.6', 'ciphers are always negotiated', 'Leave it out, or use data-ciphers.'),
  ignored('key-method', '1|2', [0, 1], '2.5', 'key method 2 is the only one', 'Leave it out.'),
  ignored(
    'prng',
    'alg [nsl]',
    [1, 2],
    '2.6',
    'the random numbers are those of the system',
    'Leave it out.',
    'both',
    'any',
  ),
  ignored('opt-verify', '', 0, '2.7', 'options of both sides are compared anyway', 'Leave it out.', 'server'),
  ignored('memstats', 'file', 1, '2.7', 'the counters are not kept', 'Leave it out.', 'server'),
  ignored('use-prediction-resistance', '', 0, '2.7', 'it was for mbed TLS', 'Leave it out.'),
  removed(
    'tls-remote',
    1,
    '2.4',
    "the name of the peer's certificate would not be checked",
    'Write verify-x509-name NAME name instead.',
    'client',
  ),
  removed('mtu-dynamic', [0, MANY], '2.0', '--mtu-dynamic has been replaced by --fragment', 'Write fragment instead.'),
  removed(
    'no-replay',
    0,
    '2.7',
    '--no-replay was removed in OpenVPN 2.7. Update your configuration.',
    'Remove the line on both sides.',
  ),
  removed(
    'no-iv',
    0,
    '2.5',
    '--no-iv was removed in OpenVPN 2.5. Update your configuration.',
    'Remove the line on both sides.',
  ),
  removed(
    'compat-names',
    [0, MANY],
    '2.5',
    '--compat-names was removed in OpenVPN 2.5. Update your configuration.',
    'Remove the line and adapt scripts to names as OpenVPN writes them today.',
  ),
  removed(
    'no-name-remapping',
    0,
    '2.5',
    '--no-name-remapping was removed in OpenVPN 2.5. Update your configuration.',
    'Remove the line and adapt scripts to names as OpenVPN writes them today.',
  ),
  removed(
    'client-cert-not-required',
    0,
    '2.5',
    "REMOVED OPTION: --client-cert-not-required, use '--verify-client-cert none' instead",
    'Write verify-client-cert none instead.',
    'server',
  ),
  removed(
    'ifconfig-pool-linear',
    0,
    '2.5',
    '--ifconfig-pool-linear was removed',
    'Write topology p2p instead.',
    'server',
  ),
  removed('management-client-pf', 0, '2.6', 'the packet filter was removed', 'Filter with nftables.', 'server'),
  removed('inetd', [0, 2], '2.6', 'starting from inetd was removed', 'Use a systemd service.', 'server'),
  removed('tun-max-mtu', 1, '2.6', 'the option is spelled tun-mtu-max', 'Write tun-mtu-max instead.'),
];
