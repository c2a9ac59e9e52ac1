// What a person does with a profile: import, connect, look, disconnect; and what is said when it goes wrong.

import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { tunnel, useLab } from '../lab/lab.ts';
import { Management } from '../lab/management.ts';
import { hostState } from '../lab/net.ts';
import { eventually, isAlive, type RunOptions } from '../lab/process.ts';
import { clientCommand, isOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const NOBODY = '65534';

describe.skipIf(!isOurs)('commands', () => {
  labSuite('for profiles and tunnels', () => {
    const lab = useLab();
    let env: NodeJS.ProcessEnv;
    let runtime: string;

    beforeEach(async () => {
      const folder = await lab().directory('desktop');
      runtime = join(folder, 'run');
      env = { ...process.env, SALLYPORT_PROFILES: join(folder, 'profiles'), SALLYPORT_RUNTIME: runtime };
      await mkdir(join(folder, 'profiles'));
    });

    const sallyport = (words: readonly string[], options: RunOptions = {}) =>
      lab().net.client.run([...clientCommand('sallyport'), ...words], {
        cwd: lab().dir,
        env,
        anyCode: true,
        timeoutMs: 60_000,
        ...options,
      });

    async function imported(name: string, options: Parameters<ReturnType<typeof lab>['clientLines']>[0] = {}) {
      const file = await lab().clientConfig(options);
      const result = await sallyport(['import', file, '--name', name]);
      expect(result).toMatchObject({ code: 0, stderr: '' });
      return result.stdout;
    }

    /** An answer of the control socket, which any path leads to. */
    const asked = (name: string, path: string) =>
      new Promise<Record<string, unknown>>((resolve, reject) => {
        const sent = request({ socketPath: join(runtime, `${name}.sock`), path, agent: false }, async (response) => {
          resolve(JSON.parse(Buffer.concat(await response.toArray()).toString('utf8')));
        });
        sent.on('error', reject);
        sent.end();
      });

    const status = async (name: string) => JSON.parse((await sallyport(['status', name, '--json'])).stdout);

    it('lead from a profile to a tunnel and back', async () => {
      await lab().server({ lines: ['push "route 10.77.0.0 255.255.255.0"', 'push "dhcp-option DNS 10.8.0.1"'] });
      const said = await imported('office');
      expect(said).toMatch(/^ +1 works +client$/m);
      expect(said).toMatch(/brought along: .*ca\.crt/);
      const stored = join(env.SALLYPORT_PROFILES ?? '', 'office.conf');
      expect((await stat(stored)).mode & 0o777).toBe(0o600);
      expect((await sallyport(['list'])).stdout).toMatch(/^office +down /);
      expect((await sallyport(['show', 'office'])).stdout).not.toContain('BEGIN');

      expect(await sallyport(['up', 'office'])).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^office is connected to 198\.51\.100\.1:1194, for 0 s; some networks go/),
        stderr: '',
      });
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      const text = (await sallyport(['status'])).stdout;
      expect(text).toMatch(/^office is connected to 198\.51\.100\.1:1194/);
      expect(text).toMatch(/ address +10\.8\.0\.2\/24, fd00:8::1000\/64 on tun0\n/);
      expect(text).toMatch(/ routes +10\.77\.0\.0\/24 via 10\.8\.0\.1\n/);
      expect(text).toMatch(/ dns +10\.8\.0\.1, by resolv\.conf/);
      expect(text).toMatch(/ cipher +AES-256-GCM\n/);
      const value = await status('office');
      expect(value).toMatchObject({ name: 'office', profile: stored, state: 'connected', device: 'tun0' });
      expect(value.dns).toMatchObject({ servers: ['10.8.0.1'], setBy: 'file' });
      const { plan, journal, dns } = (await asked('office', '/plan')) as Record<string, object>;
      expect(plan).toMatchObject({ device: 'tun0', address4: { local: '10.8.0.2' } });
      expect(journal).toContainEqual(
        expect.objectContaining({
          step: expect.objectContaining({ kind: 'add-route' }),
          seen: { existed: false, device: expect.objectContaining({ name: 'tun0' }) },
        }),
      );
      expect(dns).toMatchObject({ backend: 'file', path: '/etc/resolv.conf', setting: { isDefault: true } });
      expect(value.traffic.receivedBytes).toBeGreaterThan(1000);
      expect((await sallyport(['list'])).stdout).toMatch(/^office +up /);
      expect(await sallyport(['up', 'office'])).toMatchObject({
        code: 4,
        stderr: expect.stringContaining('office is up already'),
      });
      expect(await sallyport(['delete', 'office'])).toMatchObject({ code: 7 });

      const log = lab().net.client.watch([...clientCommand('sallyport'), 'log', '-f', 'office'], {
        name: 'log -f',
        env,
      });
      await log.line(/Initialization Sequence Completed/);
      const from = log.mark();
      expect(await sallyport(['reconnect', 'office'])).toMatchObject({ code: 0 });
      await log.line(/SIGUSR1\[hard,\] received, process restarting/, { from });
      await log.line(/Initialization Sequence Completed/, { from });
      expect(await sallyport(['down'])).toMatchObject({ code: 0, stdout: 'office is down.\n' });
      expect(await log.exit()).toEqual({ code: 0, signal: null });
      expect(await lab().net.client.ip('-br link')).not.toContain('tun0');
      expect(await readdir(runtime)).toEqual(['office.log']);
      expect(await sallyport(['status', 'office'])).toMatchObject({ code: 8 });
      expect(await sallyport(['delete', 'office'])).toMatchObject({ code: 0 });
      expect(await sallyport(['up', 'office'])).toMatchObject({ code: 10 });
    });

    it('have two tunnels at once, and ask which one is meant', async () => {
      await lab().server();
      await lab().server({
        port: 1195,
        without: ['server', 'server-ipv6'],
        lines: ['server 10.9.0.0 255.255.255.0'],
      });
      await imported('one');
      await imported('two', { port: 1195 });
      expect(await sallyport(['up', 'one'])).toMatchObject({ code: 0 });
      expect(await sallyport(['up', 'two'])).toMatchObject({ code: 0 });
      expect((await sallyport(['status'])).stdout).toMatch(/^one is connected[\s\S]*^two is connected/m);
      expect(await sallyport(['down'])).toMatchObject({ code: 2, stderr: expect.stringContaining('one, two') });
      expect(await sallyport(['down', 'one'])).toMatchObject({ code: 0 });
      expect(await pings(lab().net.client, '10.9.0.1')).toBe(true);
      expect(await sallyport(['down', 'two'])).toMatchObject({ code: 0 });
    });

    it('end after --wait where nobody answers, with exit code 3 and nothing left', async () => {
      await imported('dead', { port: 1199 });
      const result = await sallyport(['up', 'dead', '--wait', '2']);
      expect(result).toMatchObject({ code: 3, stderr: expect.stringContaining('was not up within 2 s') });
      expect(await sallyport(['status'])).toMatchObject({ code: 8, stdout: 'No tunnel is up.\n' });
    });

    async function loginServer() {
      const path = join(lab().dir, `management-${process.hrtime.bigint()}.sock`);
      await lab().server({ lines: [`management ${path} unix`, 'management-client-auth', 'disable-dco'] });
      return Management.open(path);
    }

    it('ask for the password on the terminal, and once more where the server refuses it', async () => {
      const management = await loginServer();
      await imported('login', { lines: ['auth-user-pass'] });
      const up = await lab().client({ kind: 'sallyport', argv: ['up', 'login'], env, terminal: true });
      for (const password of ['wr0ng', 's3cret']) {
        await up.prompt(/Enter Auth Username:/);
        up.write('max\r');
        await up.prompt(/Enter Auth Password:/);
        up.write(`${password}\r`);
        const { cid, kid, env: login } = await management.event('CONNECT');
        expect(login).toMatchObject({ username: 'max', password });
        await management.command(
          password === 's3cret' ? `client-auth-nt ${cid} ${kid}` : `client-deny ${cid} ${kid} "no"`,
        );
      }
      expect((await up.exit()).code).toBe(0);
      expect(up.text).toMatch(/refused[^\n]*\n[\s\S]*Enter Auth Username:[\s\S]*login is connected/i);
      for (const text of [up.text, await readFile(join(runtime, 'login.log'), 'utf8')])
        expect(text).not.toMatch(/wr0ng|s3cret/);
      expect(await sallyport(['down', 'login'])).toMatchObject({ code: 0 });
      management.close();
    });

    it('give up at Ctrl-C, and --ask asks whatever the profile has', async () => {
      const management = await loginServer();
      const credentials = await lab().file('credentials', 'max\ns3cret\n', 0o600);
      await imported('kept', { lines: [`auth-user-pass ${credentials}`] });
      const up = await lab().client({ kind: 'sallyport', argv: ['up', 'kept', '--ask'], env, terminal: true });
      await up.prompt(/Enter Auth Username:/);
      up.write('eve\r');
      await up.prompt(/Enter Auth Password:/);
      up.write('other\r');
      expect((await management.event('CONNECT')).env).toMatchObject({ username: 'eve', password: 'other' });
      up.write('\x03');
      expect((await up.exit()).code).toBe(1);
      expect(up.text).toMatch(/kept: connecting was given up, and ended/);
      expect(await sallyport(['status'])).toMatchObject({ code: 8, stdout: 'No tunnel is up.\n' });
      management.close();
    });

    it('bring a tunnel up once, whoever else tries meanwhile', async () => {
      await lab().server();
      await imported('office');
      const all = await Promise.all([1, 2, 3].map(() => sallyport(['up', 'office'])));
      expect(all.filter(({ code }) => code === 0)).toHaveLength(1);
      for (const { code, stderr } of all) {
        if (code !== 0) expect([code, stderr]).toEqual([4, expect.stringMatching(/is at work|is up already/)]);
      }
      expect((await status('office')).state).toBe('connected');
      expect(await sallyport(['down'])).toMatchObject({ code: 0 });
      expect(await lab().net.client.ip('-br link')).not.toContain('tun');
      // Whoever is asked for a password holds the others off; killed, nobody does.
      await imported('login', { lines: ['auth-user-pass'] });
      const asked = await lab().client({ kind: 'sallyport', argv: ['up', 'login'], env, terminal: true });
      await asked.prompt(/Enter Auth Username:/);
      expect(await sallyport(['up', 'login'])).toMatchObject({
        code: 4,
        stderr: expect.stringContaining('is at work'),
      });
      await asked.kill();
      const again = await lab().client({ kind: 'sallyport', argv: ['up', 'login'], env, terminal: true });
      await again.prompt(/Enter Auth Username:/);
    });

    it('bring a question of the server to the terminal of up', async () => {
      const management = await loginServer();
      const credentials = await lab().file('credentials', 'max\ns3cret\n', 0o600);
      await imported('asked', { lines: [`auth-user-pass ${credentials}`] });
      const up = await lab().client({ kind: 'sallyport', argv: ['up', 'asked'], env, terminal: true });
      const { cid, kid } = await management.event('CONNECT');
      await management.command(`client-pending-auth ${cid} ${kid} CR_TEXT:R,E:Code? 60`);
      await up.prompt(/CHALLENGE: Code\? /);
      up.write('1234\r');
      expect((await management.event('CR_RESPONSE')).rest).toBe('MTIzNA==');
      await management.command(`client-auth-nt ${cid} ${kid}`);
      expect((await up.exit()).code).toBe(0);
      management.close();
    });

    it.each(['WEB_AUTH::', 'OPEN_URL:'])('show the address to log in at, of %s', async (kind) => {
      const management = await loginServer();
      const credentials = await lab().file('credentials', 'max\ns3cret\n', 0o600);
      await imported('web', { lines: [`auth-user-pass ${credentials}`] });
      const up = await lab().client({ kind: 'sallyport', argv: ['up', 'web'], env });
      const { cid, kid } = await management.event('CONNECT');
      const url = 'https://login.example.org/?session=1';
      await management.command(`client-pending-auth ${cid} ${kid} ${kind}${url} 60`);
      await up.line(new RegExp(`Log in at this address to go on: ${url.replace(/[?.]/g, '\\$&')}`));
      expect(await status('web')).toMatchObject({ state: 'login-pending', login: { text: null, url } });
      expect((await sallyport(['status', 'web'])).stdout).toContain(`web waits for its login; log in at ${url}\n`);
      await management.command(`client-auth-nt ${cid} ${kid}`);
      expect((await up.exit()).code).toBe(0);
      expect(up.text).toMatch(/^web is connected/m);
      management.close();
    });

    it('print each state as a line of JSON where that is asked for', async () => {
      await lab().server();
      await imported('office');
      const { code, stdout, stderr } = await sallyport(['up', 'office', '--json']);
      const states = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect([code, stderr]).toEqual([0, '']);
      expect(states.map(({ name }) => name)).toEqual(states.map(() => 'office'));
      expect(states.at(-1)).toMatchObject({
        state: 'connected',
        device: 'tun0',
        addresses: ['10.8.0.2/24', 'fd00:8::1000/64'],
      });
      expect(states.at(-1)).toEqual({ ...(await status('office')), traffic: expect.anything() });
      const watch = lab().net.client.watch([...clientCommand('sallyport'), 'status', 'office', '--watch', '--json'], {
        name: 'status --watch',
        env,
      });
      await watch.line(/"state":"connected"/);
      const words = lab().net.client.watch([...clientCommand('sallyport'), 'status', '--watch'], {
        name: 'watch',
        env,
      });
      await words.line(/office is connected/);
      const from = watch.mark();
      expect(await sallyport(['reconnect', 'office'])).toMatchObject({ code: 0 });
      await watch.line(/"state":"reconnecting".*"reason":"asked for"/, { from });
      await watch.line(/"state":"connected"/, { from });
      expect(await sallyport(['down'])).toMatchObject({ code: 0 });
      expect(await watch.exit()).toEqual({ code: 0, signal: null });
      expect(
        watch.text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
          .at(-1),
      ).toBeNull();
      expect(await words.exit()).toEqual({ code: 0, signal: null });
      expect(words.text).toMatch(
        /office is not connected \(asked for\); it tries again\.[\s\S]*sent\noffice has ended\.$/,
      );
    });

    it('say that somebody else has ended the attempt', async () => {
      await imported('dead', { port: 1199 });
      const up = await lab().client({ kind: 'sallyport', argv: ['up', 'dead'], env });
      await eventually('the attempt', async () => (await sallyport(['status', 'dead'])).code === 0);
      expect(await sallyport(['down', 'dead'])).toMatchObject({ code: 0 });
      expect((await up.exit()).code).toBe(4);
      expect(up.text).toMatch(/dead was ended before it was up/);
    });

    it('say that the process was killed, and start anew', async () => {
      await lab().server();
      await imported('office');
      expect(await sallyport(['up', 'office'])).toMatchObject({ code: 0 });
      const { pid } = await status('office');
      process.kill(pid, 'SIGKILL');
      await eventually('its end', async () => !(await isAlive(pid)));
      expect(await sallyport(['status', 'office'])).toMatchObject({
        code: 8,
        stderr: expect.stringContaining(`its process (${pid}) was killed`),
      });
      expect(await sallyport(['up', 'office'])).toMatchObject({ code: 0 });
      expect(await sallyport(['down'])).toMatchObject({ code: 0 });
    });

    it.each([
      ['down', ['down', 'office'], /^The process \(\d+\) of office was killed\.\n[\s\S]*office is down\.\n$/],
      ['recover', ['recover'], /^Process \d+ \(office\.conf\) was killed\.\n/],
    ] as const)('put back with %s what a killed process changed', async (_, words, said) => {
      await lab().server({ lines: ['push "redirect-gateway def1"'] });
      await imported('office');
      const before = await hostState(lab().net.client);
      expect(await sallyport(['up', 'office'])).toMatchObject({ code: 0 });
      const { pid } = await status('office');
      process.kill(pid, 'SIGKILL');
      await eventually('its end', async () => !(await isAlive(pid)));
      const dry = JSON.parse((await sallyport(['recover', '--dry-run', '--json'])).stdout);
      expect(dry).toMatchObject({ dryRun: true, problems: [], processes: [{ pid, profile: 'office.conf' }] });
      expect(dry.processes[0].changes).toContainEqual({ result: 'restored', text: expect.stringContaining('route') });
      expect(await hostState(lab().net.client)).not.toEqual(before);
      expect(await sallyport(words)).toMatchObject({ code: 0, stdout: expect.stringMatching(said), stderr: '' });
      expect(await hostState(lab().net.client)).toEqual(before);
      expect(await sallyport(['status', 'office'])).toMatchObject({
        code: 8,
        stderr: expect.stringContaining('is not up'),
      });
      expect((await sallyport(['recover'])).stdout).toBe('There is nothing to put right.\n');
    });

    it('let no other user read or steer a tunnel', async () => {
      await lab().server();
      await imported('office');
      expect(await sallyport(['up', 'office'])).toMatchObject({ code: 0 });
      const socket = join(runtime, 'office.sock');
      expect((await stat(socket)).mode & 0o777).toBe(0o600);
      const askedAs = (method: string, path: string, uid?: string) =>
        lab().net.client.run(
          [
            ...(uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']),
            process.execPath,
            '-e',
            `const r = require('http').request({ socketPath: ${JSON.stringify(socket)}, path: '${path}', method: '${method}' }, (a) => { console.log(a.statusCode); process.exit() }); r.on('error', (e) => console.log(e.code)); r.end()`,
          ],
          { anyCode: true, env: { PATH: process.env.PATH } },
        );
      expect((await askedAs('GET', '/status', NOBODY)).stdout).toBe('EACCES\n');
      // The mode of the socket is one lock, the kernel's word on the user id another.
      await chmod(socket, 0o666);
      expect((await askedAs('GET', '/status', NOBODY)).stdout).toBe('403\n');
      expect((await askedAs('POST', '/down', NOBODY)).stdout).toBe('403\n');
      expect((await askedAs('GET', '/status')).stdout).toBe('200\n');
      expect((await status('office')).state).toBe('connected');
      expect(await sallyport(['down'])).toMatchObject({ code: 0 });
    });

    it('use no profile as root that others can write', async () => {
      const path = join(env.SALLYPORT_PROFILES ?? '', 'open.conf');
      await writeFile(path, 'client\nremote 198.51.100.1\n');
      await chmod(path, 0o666);
      expect(await sallyport(['up', 'open'])).toMatchObject({
        code: 4,
        stderr: expect.stringContaining('others can write to it'),
      });
    });

    it('tell who may not make tunnels what there is instead', async () => {
      const up = await lab().client({
        kind: 'sallyport',
        argv: ['up', await lab().clientConfig()],
        env,
        prefix: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'],
      });
      expect(await up.exit()).toEqual({ code: 4, signal: null });
      expect(up.text).toMatch(/sudo sallyport up[\s\S]*NetworkManager/);
    });
  });
});
