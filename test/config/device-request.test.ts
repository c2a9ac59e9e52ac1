import { describe, expect, it } from 'vitest';
import { asksForDevice, parseDeviceRequest } from '../../src/config/device-request.ts';

const parse = (text: string) => parseDeviceRequest(text.split(' '), { readText: () => undefined });

describe('a command line that asks for a device', () => {
  it('is one with mktun or rmtun', () => {
    expect(asksForDevice(['--dev', 'tun5', '--mktun'])).toBe(true);
    expect(asksForDevice(['--rmtun', '--dev', 'tun5'])).toBe(true);
    expect(asksForDevice(['--config', 'mktun'])).toBe(false);
  });

  it.each([
    ['--mktun --dev tun5', { persistent: true, name: 'tun5', type: 'tun' }],
    ['--rmtun --dev tap3', { persistent: false, name: 'tap3', type: 'tap' }],
    ['--mktun --dev office --dev-type tap', { persistent: true, name: 'office', type: 'tap' }],
    ['--mktun --dev tun', { name: 'tun', user: undefined, group: undefined, node: undefined }],
    ['--mktun --dev tun5 --user max --group vpn', { user: 'max', group: 'vpn' }],
    ['--mktun --dev tun5 --dev-node /dev/tun --txqueuelen 500', { node: '/dev/tun', txQueueLength: 500 }],
    ['--mktun --dev tap5 --lladdr 02:00:00:00:00:01', { linkAddress: '02:00:00:00:00:01' }],
    ['--mktun --dev tun5 --lladdr 02:00:00:00:00:01', { linkAddress: undefined }],
    ['--mktun --rmtun --dev tun5', { persistent: false }],
  ])('says in %s what device and whose', (text, request) => {
    expect(parse(text)).toMatchObject(request);
  });

  it.each([
    ['--mktun', 'Options error: You must define TUN/TAP device (--dev)'],
    ['--mktun --dev vpn0', "Options error: Unknown device type of 'vpn0'"],
    ['--mktun --dev tun/5', "Options error: 'tun/5' cannot be the name of a network device"],
    ['--mktun --dev null', 'Options error: --dev null is no device that could be kept'],
    [
      '--mktun --dev tun5 --remote a',
      'Options error: options --mktun or --rmtun should only be used together with --dev',
    ],
    [
      '--mktun --dev tun5 --tls-server',
      'Options error: options --mktun or --rmtun should only be used together with --dev',
    ],
    [
      '--mktun --dev tun5 --ifconfig 10.0.0.1 10.0.0.2',
      'Options error: options --mktun or --rmtun should only be used together with --dev',
    ],
    [
      '--mktun --dev tun5 --secret a',
      'Options error: options --mktun or --rmtun should only be used together with --dev',
    ],
    ['--mktun --dev tap5 --lladdr soon', "Options error: lladdr parm 'soon' must be a MAC address"],
    ['--mktun --dev tun5 --no-such-option', 'Options error: Unrecognized option'],
  ])('is refused: %s', (text, problem) => {
    const request = parse(text);
    if (!('problems' in request)) throw new Error(JSON.stringify(request));
    expect(
      request.problems.some((line) => line.startsWith(problem)),
      request.problems.join('\n'),
    ).toBe(true);
  });
});
