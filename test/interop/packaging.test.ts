// The Debian package: built twice, looked at, installed and purged in a root of its own, and used from there.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { eventually } from '../lab/process.ts';
import { itOurs, labSuite, projectRoot } from '../lab/requirements.ts';
import { openSystemLog } from '../lab/system-log.ts';
import { pings } from '../lab/traffic.ts';

labSuite('the Debian package', () => {
  const lab = useLab();
  let deb: string;
  let again: string;

  const build = (folder: string, umask: string): string =>
    execFileSync('sh', ['-c', `umask ${umask}; exec "$0" packaging/build-deb.mjs "$1"`, process.execPath, folder], {
      cwd: projectRoot,
      encoding: 'utf8',
    }).trim();

  beforeAll(async () => {
    deb = build(await lab().directory('deb-a'), '022');
    again = build(await lab().directory('deb-b'), '077');
  });

  /** dpkg over a root of its own, with a database of its own; nothing of this machine is read or written. */
  const dpkg = (root: string, ...args: string[]) => {
    mkdirSync(join(root, 'var/lib/dpkg'), { recursive: true });
    if (!existsSync(join(root, 'var/lib/dpkg/status'))) writeFileSync(join(root, 'var/lib/dpkg/status'), '');
    const { status, stdout, stderr } = spawnSync(
      'dpkg',
      [`--root=${root}`, '--force-script-chrootless', '--force-depends', '--log=/dev/null', ...args],
      { encoding: 'utf8' },
    );
    return { status, text: `${stdout}${stderr}` };
  };

  itOurs('is built by a script that takes a folder and nothing else', async () => {
    for (const words of [['--help'], ['a', 'b']]) {
      const { status, stderr } = spawnSync(process.execPath, ['packaging/build-deb.mjs', ...words], {
        cwd: projectRoot,
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([2, 'Usage: node packaging/build-deb.mjs [FOLDER]\n']);
    }
    expect(existsSync(join(projectRoot, '--help'))).toBe(false);
  });

  itOurs('is the same to the byte, whenever and under whatever umask it is built', async () => {
    expect(readFileSync(again).equals(readFileSync(deb))).toBe(true);
  });

  itOurs(
    'has root as owner of everything, modes that others can use and nobody else can write, and no path of the build',
    async () => {
      const list = execFileSync('dpkg-deb', ['-c', deb], { encoding: 'utf8' }).trim().split('\n');
      expect(list.filter((line) => !/^(d|-|l)\S+ root\/root /.test(line))).toEqual([]);
      const modes = list.filter((line) => !/^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx) /.test(line));
      expect(modes).toEqual([]);
      expect(
        list.filter((line) => /^-rwx/.test(line)).every((line) => /\.\/usr\/(sbin|lib\/NetworkManager)\//.test(line)),
      ).toBe(true);
      const root = await lab().directory('deb-look');
      execFileSync('dpkg-deb', ['-R', deb, root]);
      const withPath = Object.keys(treeOf(root)).filter((path) => {
        const full = join(root, path);
        return lstatSync(full).isFile() && readFileSync(full).includes(projectRoot.replace(/\/$/, ''));
      });
      expect(withPath).toEqual([]);
      // Nothing that another package owns.
      expect(list.filter((line) => /nm-openvpn|\/etc\//.test(line))).toEqual([]);
    },
  );

  it('has units that systemd takes, where it is there to ask', async ({ skip }) => {
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) return skip('no systemd-analyze');
    const root = await lab().directory('deb-units');
    execFileSync('dpkg-deb', ['-x', deb, root]);
    for (const end of ['client', 'server']) {
      const name = `sallyport-${end}@a.service`;
      const text = readFileSync(join(root, `lib/systemd/system/sallyport-${end}@.service`), 'utf8');
      // The programs it names need not be on this machine.
      const file = join(root, name);
      writeFileSync(
        file,
        text.replace('/usr/sbin/sallyport', join(root, 'usr/sbin/sallyport')).replace(/^Documentation.*\n/m, ''),
      );
      const { stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
      expect(stderr.split('\n').filter((line) => line.includes('sallyport'))).toEqual([]);
    }
  });

  itOurs('answers --version without Node, in the words of the command', async () => {
    const root = await lab().directory('deb-version');
    execFileSync('dpkg-deb', ['-x', deb, root]);
    const quick = spawnSync('/bin/sh', [join(root, 'usr/sbin/sallyport'), '--version'], {
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin' },
    });
    const slow = spawnSync(process.execPath, [join(projectRoot, 'bin/sallyport.js'), '--version'], {
      encoding: 'utf8',
    });
    expect(quick.stdout).toMatch(/^OpenVPN 2\.7\.\d+ /);
    expect(quick.stdout).toBe(slow.stdout.replace(/^library versions: .*\n/m, ''));
    expect([quick.status, slow.status]).toEqual([0, 0]);
    expect(readFileSync(join(root, 'usr/sbin/sallyport'), 'utf8').indexOf('--version')).toBeLessThan(
      readFileSync(join(root, 'usr/sbin/sallyport'), 'utf8').indexOf('exec'),
    );
  });

  itOurs('leaves a root as it was after purge, with the profiles in it, and what it kept itself is gone', async () => {
    const root = await lab().directory('deb-root');
    // dpkg takes a folder away with its last file; on a machine others have files in these.
    for (const folder of [
      'etc/openvpn/client',
      'var/lib',
      'usr/bin',
      'usr/sbin',
      'usr/share/man/man8',
      'usr/share/doc',
      'usr/lib/tmpfiles.d',
      'lib/systemd/system',
    ]) {
      mkdirSync(join(root, folder), { recursive: true });
      writeFileSync(join(root, folder, 'of-others'), '');
    }
    writeFileSync(join(root, 'etc/openvpn/client/office.conf'), 'client\n', { mode: 0o600 });
    const before = treeOf(root);
    const installed = dpkg(root, '--install', deb);
    expect(installed).toMatchObject({ status: 0 });
    expect(existsSync(join(root, 'usr/sbin/sallyport'))).toBe(true);
    mkdirSync(join(root, 'var/lib/sallyport/journal'), { recursive: true });
    writeFileSync(join(root, 'var/lib/sallyport/journal/1-1.jsonl'), '');
    expect(dpkg(root, '--remove', 'sallyport')).toMatchObject({ status: 0 });
    expect(existsSync(join(root, 'var/lib/sallyport/journal/1-1.jsonl'))).toBe(true);
    expect(dpkg(root, '--purge', 'sallyport')).toMatchObject({ status: 0 });
    expect(treeOf(root)).toEqual(before);
  });

  /** The other package's .name file in a root of its own, and ours installed beside it. */
  const besideTheirs = async (folderName: string, theirs: string) => {
    const root = await lab().directory(folderName);
    const folder = join(root, 'usr/lib/NetworkManager/VPN');
    const name = join(folder, 'nm-openvpn-service.name');
    mkdirSync(folder, { recursive: true });
    writeFileSync(name, theirs);
    expect(dpkg(root, '--install', deb)).toMatchObject({ status: 0 });
    expect(readFileSync(name, 'utf8')).toBe(theirs);
    const program = join(root, 'usr/lib/NetworkManager/sallyport-nm-service');
    // A build that has the service has it in the package.
    if (!existsSync(program)) writeFileSync(program, '', { mode: 0o755 });
    const turn = (word: string) =>
      spawnSync('/bin/sh', [join(root, 'usr/sbin/sallyport-nm-switch'), word], {
        encoding: 'utf8',
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DPKG_ROOT: root },
      });
    return { root, folder, name, turn };
  };

  itOurs(
    'is NetworkManager’s service only when it is asked to, and gives the place back, also when it goes',
    async () => {
      const theirs = '[VPN Connection]\nname=openvpn\nprogram=/usr/lib/NetworkManager/nm-openvpn-service\n[libnm]\n';
      const { root, folder, name, turn } = await besideTheirs('deb-switch', theirs);
      expect(turn('status').stdout).toBe('off\n');
      expect(turn('on')).toMatchObject({ status: 0, stderr: '' });
      expect(readFileSync(name, 'utf8')).toBe(theirs.replace('nm-openvpn-service', 'sallyport-nm-service'));
      expect(readdirSync(folder).filter((entry) => entry.endsWith('.name'))).toEqual(['nm-openvpn-service.name']);
      expect(turn('on').status).toBe(0);
      expect([turn('status').stdout, turn('off').status, turn('off').status]).toEqual(['on\n', 0, 0]);
      expect(readFileSync(name, 'utf8')).toBe(theirs);
      expect(turn('on').status).toBe(0);
      expect(dpkg(root, '--purge', 'sallyport')).toMatchObject({ status: 0 });
      expect([readdirSync(folder), readFileSync(name, 'utf8')]).toEqual([['nm-openvpn-service.name'], theirs]);
    },
  );

  itOurs('changes nothing where the other package’s file names no program', async () => {
    const { folder, name, turn } = await besideTheirs('deb-refuse', '[VPN Connection]\n');
    const { status, stderr } = turn('on');
    expect([status, readdirSync(folder)]).toEqual([1, ['nm-openvpn-service.name']]);
    expect(stderr).toContain('names no program; nothing was changed');
    expect(readFileSync(name, 'utf8')).toBe('[VPN Connection]\n');
  });

  itOurs(
    'connects from the installed files, and tells the service manager, whose address scripts do not see',
    async () => {
      const root = await lab().directory('deb-run');
      execFileSync('dpkg-deb', ['-x', deb, root]);
      // The launcher names the installed place; a test has it elsewhere.
      const program = join(root, 'usr/lib/sallyport/bin/sallyport.js');
      const check = spawnSync(process.execPath, [program, 'check', '/dev/null'], { encoding: 'utf8' });
      expect(check.stderr).not.toMatch(/internal error|Cannot find module/);
      await lab().server();
      const path = join(root, 'notify');
      using manager = openSystemLog(path);
      const script = join(root, 'up.sh');
      writeFileSync(script, `#!/bin/sh\nenv >${join(root, 'environment')}\n`, { mode: 0o755 });
      const client = await lab().client({
        lines: ['daemon office', `up ${script}`, 'script-security 2'],
        prefix: ['sh', '-c', inPlaceOf, 'sh', path, program],
      });
      // Under `daemon` the lines are the system log's; the process stays who it was all the same.
      await eventually('the tunnel', () => manager.lines().some((text) => up.test(text)));
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      await eventually('the end told', () => manager.lines().includes('STOPPING=1'));
      expect(manager.lines()).toEqual([
        'READY=1\nSTATUS=Pre-connection initialization successful',
        'STATUS=Initialization Sequence Completed',
        'STOPPING=1',
      ]);
      expect(readFileSync(join(root, 'environment'), 'utf8')).not.toContain('NOTIFY_SOCKET');
    },
  );
});

// Takes the place of the command of this checkout, under a service manager.
const inPlaceOf = 'export NOTIFY_SOCKET="$1"; p=$2; node=$3; shift 4; exec "$node" "$p" "$@"';

/** Every path below a folder with its kind, mode and content; dpkg's own database apart. */
function treeOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const path of (readdirSync(root, { recursive: true }) as string[]).sort()) {
    if (path.startsWith('var/lib/dpkg')) continue;
    const facts = lstatSync(join(root, path));
    const content = facts.isFile()
      ? readFileSync(join(root, path), 'hex')
      : facts.isSymbolicLink()
        ? readlinkSync(join(root, path))
        : '';
    found[path] = `${facts.mode.toString(8)} ${facts.uid}:${facts.gid} ${content}`;
  }
  return found;
}
