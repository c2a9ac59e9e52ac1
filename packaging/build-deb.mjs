// Makes the Debian package out of a built tree, with dpkg-deb alone; the same tree gives the same bytes:
//
//   npm run build && node packaging/build-deb.mjs [FOLDER]        prints the package's path
//
// Everything is bundled but koffi, whose binary for this architecture goes with it. SOURCE_DATE_EPOCH is the time of every
// file (default: that of the last commit). Left out: V8's code cache, which is of one Node and not the same twice.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = join(root, 'packaging/files');
const words = process.argv.slice(2);
if (words.length > 1 || words[0]?.startsWith('-')) stop('Usage: node packaging/build-deb.mjs [FOLDER]', 2);
const out = resolve(words[0] ?? join(root, 'dist'));
const { version, description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch];
if (architecture === undefined) stop(`no package is made for ${process.arch}`);
if (!existsSync(join(root, 'dist/bin/sallyport.js'))) stop('the tree is not built: npm ci && npm run build');

const lastCommit = () => execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' }).trim();
const epoch = process.env.SOURCE_DATE_EPOCH ?? lastCommit();

const stage = mkdtempSync(join(tmpdir(), 'sallyport-deb-'));
try {
  const tree = join(stage, 'tree');
  layOut(tree);
  control(tree);
  normalise(tree);
  const deb = join(out, `sallyport_${version}_${architecture}.deb`);
  mkdirSync(out, { recursive: true });
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, deb], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: epoch },
  });
  process.stdout.write(`${deb}\n`);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

function stop(text, exitCode = 1) {
  process.stderr.write(`${text}\n`);
  process.exit(exitCode);
}

function layOut(tree) {
  const put = (to, text, mode = 0o644) => {
    const path = join(tree, to);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
  };
  const file = (name) => readFileSync(join(files, name), 'utf8');
  const copy = (from, to) => put(to, readFileSync(from));
  const home = 'usr/lib/sallyport';

  for (const name of ['sallyport.js', 'load-command.js', 'sallyport-nm-service.js', 'package.json']) {
    if (existsSync(join(root, 'bin', name))) copy(join(root, 'bin', name), `${home}/bin/${name}`);
  }
  cpSync(join(root, 'dist/bin'), join(tree, home, 'dist/bin'), {
    recursive: true,
    filter: (path) => !path.endsWith('.cache') && !path.endsWith('.map'),
  });
  const koffi = join(root, 'node_modules/koffi');
  for (const name of ['package.json', 'LICENSE.txt', 'index.cjs', 'src/koffi/index.cjs', 'src/koffi/src/static.cjs']) {
    copy(join(koffi, name), `${home}/node_modules/koffi/${name}`);
  }
  const native = `@koromix/koffi-linux-${process.arch}`;
  for (const name of ['package.json', 'index.js', `linux_${process.arch}/koffi.node`]) {
    copy(join(dirname(koffi), native, name), `${home}/node_modules/${native}/${name}`);
  }

  put(
    'usr/sbin/sallyport',
    file('sallyport.in').replace('@VERSION@', () => versionWithoutLibraries()),
    0o755,
  );
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  symlinkSync('../sbin/sallyport', join(tree, 'usr/bin/sallyport'));
  if (existsSync(join(root, 'bin/sallyport-nm-service.js'))) {
    put('usr/lib/NetworkManager/sallyport-nm-service', file('sallyport-nm-service'), 0o755);
    put('usr/share/dbus-1/system.d/sallyport-nm-service.conf', file('sallyport-nm-service.conf'));
    put('usr/lib/sysusers.d/sallyport.conf', file('sallyport.sysusers'));
  }
  put('usr/lib/NetworkManager/dispatcher.d/90-sallyport', file('90-sallyport'), 0o755);
  put('usr/sbin/sallyport-nm-switch', file('sallyport-nm-switch'), 0o755);
  for (const end of ['client', 'server'])
    put(`lib/systemd/system/sallyport-${end}@.service`, file(`sallyport-${end}@.service`));
  put('usr/lib/tmpfiles.d/sallyport.conf', file('sallyport.tmpfiles'));
  for (const page of ['sallyport.8', 'sallyport.1', 'sallyport-nm-service.8']) {
    const from = join(root, 'docs', page);
    if (existsSync(from)) put(`usr/share/man/man${page.at(-1)}/${page}.gz`, gzipSync(readFileSync(from), { level: 9 }));
  }
  for (const [shell, to] of [
    ['bash', 'usr/share/bash-completion/completions/sallyport'],
    ['zsh', 'usr/share/zsh/vendor-completions/_sallyport'],
    ['fish', 'usr/share/fish/vendor_completions.d/sallyport.fish'],
  ]) {
    const text = completion(shell);
    if (text !== undefined) put(to, text);
  }
  put('usr/share/doc/sallyport/copyright', file('copyright'));
  for (const { name, path } of licences()) copy(path, `usr/share/doc/sallyport/licences/${name}`);
  put('usr/share/doc/sallyport/changelog.gz', gzipSync(readFileSync(join(root, 'CHANGELOG.md')), { level: 9 }));
  for (const page of ['COMPATIBILITY', 'CONTROL', 'DNS', 'NETWORKMANAGER', 'SPLIT'])
    copy(join(root, `docs/${page}.md`), `usr/share/doc/sallyport/${page}.md`);
}

/** The licence of every package that may be in a bundle. */
function licences() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(packages).flatMap(([place, { dev, optional }]) => {
    if (place === '' || dev || optional) return [];
    const folder = join(root, place);
    const found = existsSync(folder) ? readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry)) : undefined;
    if (found === undefined) return [];
    const name = place.replace(/^.*node_modules\//, '').replaceAll('/', '-');
    return [{ name, path: join(folder, found) }];
  });
}

/** What the command says itself, but for the libraries of the Node that happens to build. */
function versionWithoutLibraries() {
  const text = execFileSync(process.execPath, [join(root, 'bin/sallyport.js'), '--version'], { encoding: 'utf8' });
  return text.replace(/^library versions: .*\n/m, '');
}

/** Undefined as long as the command makes none. */
function completion(shell) {
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'bin/sallyport.js'), 'completion', shell], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return status === 0 && stdout !== '' ? stdout : undefined;
}

function control(tree) {
  const folder = join(tree, 'DEBIAN');
  mkdirSync(folder);
  const sizeKib = execFileSync('du', ['-sk', '--apparent-size', '--exclude=DEBIAN', tree], { encoding: 'utf8' }).split(
    '\t',
  )[0];
  const fields = {
    Package: 'sallyport',
    Version: version,
    Architecture: architecture,
    Maintainer: 'Sallyport <sallyport@localhost>',
    'Installed-Size': sizeKib,
    Depends: 'nodejs (>= 20.19)',
    Recommends: [
      'libgnutls30t64 | libgnutls30',
      ...(architecture === 'amd64' ? ['libipsec-mb2 | libipsec-mb1'] : []),
    ].join(', '),
    Suggests: 'network-manager-openvpn, iproute2',
    Section: 'net',
    Priority: 'optional',
    Description: `OpenVPN client and server in TypeScript\n ${description}.`,
  };
  const text = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  writeFileSync(join(folder, 'control'), text.join(''));
  for (const script of ['postinst', 'prerm', 'postrm']) {
    writeFileSync(join(folder, script), readFileSync(join(files, script)));
    chmodSync(join(folder, script), 0o755);
  }
  const sums = execFileSync('sh', ['-c', "find usr lib -type f | LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 md5sum"], {
    cwd: tree,
  });
  writeFileSync(join(folder, 'md5sums'), sums);
}

/** One time, and modes that the umask of whoever builds has no say in. */
function normalise(tree) {
  execFileSync('chmod', ['-R', 'u=rwX,go=rX', tree]);
  execFileSync('find', [tree, '-exec', 'touch', '-h', '-d', `@${epoch}`, '{}', '+']);
}
