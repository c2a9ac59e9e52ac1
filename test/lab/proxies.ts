// Proxies in the router of a lab: those of tests (proxy-main.ts), and real programs.

import { fileURLToPath } from 'node:url';
import type { Lab } from './lab.ts';
import type { WatchedProcess } from './process.ts';
import type { HttpProxySettings, SocksProxySettings } from './proxy-settings.ts';

const main = fileURLToPath(new URL('./proxy-main.ts', import.meta.url));

/** An HTTP proxy on port 3128 of the router, listening when this resolves. */
export const httpProxy = (lab: Lab, settings: Partial<HttpProxySettings> = {}): Promise<WatchedProcess> =>
  start(lab, 'http', { port: 3128, offers: [], user: 'paul', password: 'fish cake', ...settings });

/** A SOCKS proxy on port 1080 of the router, listening when this resolves. */
export const socksProxy = (lab: Lab, settings: Partial<SocksProxySettings> = {}): Promise<WatchedProcess> =>
  start(lab, 'socks', { port: 1080, ...settings });

async function start(lab: Lab, kind: 'http' | 'socks', settings: object): Promise<WatchedProcess> {
  const argv = [process.execPath, '--import', 'tsx', main, kind, JSON.stringify(settings)];
  const proxy = lab.net.router.watch(argv, {
    name: `${kind} proxy`,
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  await proxy.line(/proxy listens on/);
  return proxy;
}

/** microsocks, on port 1080 of the router. */
export async function microsocks(lab: Lab, ...argv: readonly string[]): Promise<WatchedProcess> {
  const proxy = lab.net.router.watch(['microsocks', '-i', '0.0.0.0', '-p', '1080', ...argv], { name: 'microsocks' });
  await listening(lab, 1080);
  return proxy;
}

/** tinyproxy, on port 3128 of the router; `lines` beside the needed ones. */
export async function tinyproxy(lab: Lab, ...lines: readonly string[]): Promise<WatchedProcess> {
  const config = await lab.file(
    'tinyproxy.conf',
    ['Port 3128', 'Timeout 60', 'LogLevel Connect', ...lines, ''].join('\n'),
  );
  const proxy = lab.net.router.watch(['tinyproxy', '-d', '-c', config], { name: 'tinyproxy' });
  await listening(lab, 3128);
  return proxy;
}

/** Dante's server, on port 1080 of the router; `method` is `none` or `username` (with the host's own users). */
export async function dante(lab: Lab): Promise<WatchedProcess> {
  const config = await lab.file(
    'danted.conf',
    [
      'logoutput: stdout',
      'internal: 192.0.2.1 port = 1080',
      'external: 198.51.100.2',
      'clientmethod: none',
      'socksmethod: none',
      'user.privileged: root',
      'user.unprivileged: nobody',
      'client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
      'socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect udpassociate }',
      'socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: bindreply udpreply }',
      '',
    ].join('\n'),
  );
  const proxy = lab.net.router.watch(['danted', '-f', config], { name: 'danted' });
  await listening(lab, 1080);
  return proxy;
}

/** Waits until something listens on a TCP port of the router. */
async function listening(lab: Lab, port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { stdout } = await lab.net.router.run(['cat', '/proc/net/tcp', '/proc/net/tcp6'], { anyCode: true });
    const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
    if (stdout.split('\n').some((line) => line.includes(wanted) && / 0A /.test(line))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on port ${port}`);
}
