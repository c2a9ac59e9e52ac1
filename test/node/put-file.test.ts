import fs, {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostFiles } from '../../src/node/host-files.ts';

const real = { ...fs };
const OLD = 'nameserver 192.0.2.1\n';
const NEW = 'nameserver 10.8.0.1\nsearch office.example\n';
const file = (text: string, mode = 0o640) =>
  ({ kind: 'file', text, mode, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }) as const;

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-put-'));
  path = join(folder, 'resolv.conf');
  writeFileSync(path, OLD);
});
afterEach(() => {
  asItWas();
  rmSync(folder, { recursive: true, force: true });
});

/** Has some calls of node:fs do something else. */
function instead(calls: Partial<Omit<typeof fs, 'writeSync'>> & { readonly writeSync?: unknown }): void {
  Object.assign(fs, calls);
  syncBuiltinESMExports();
}
function asItWas(): void {
  const { fsyncSync, renameSync, ftruncateSync, fchmodSync, fchownSync, writeSync } = real;
  instead({ fsyncSync, renameSync, ftruncateSync, fchmodSync, fchownSync, writeSync });
}
const refusal = (code: string) => Object.assign(new Error(`${code}: some words`), { code });
/** As where the path is a mount. */
const noRename = (from: fs.PathLike, to: fs.PathLike): void => {
  if (to === path) throw refusal('EBUSY');
  real.renameSync(from, to);
};
const nameOf = (fd: number): string => readlinkSync(`/proc/self/fd/${fd}`).slice(folder.length);
const text = (): string => readFileSync(path, 'latin1');

describe('a file that is put', () => {
  it('is on disk before it has its name, and the name is on disk before it is told', () => {
    const order: string[] = [];
    instead({
      fsyncSync(fd) {
        order.push(`sync ${nameOf(fd)}`);
        real.fsyncSync(fd);
      },
      renameSync(from, to) {
        order.push(`rename ${String(from).slice(folder.length)}`);
        real.renameSync(from, to);
      },
    });
    hostFiles.put(path, file(NEW));
    expect(order).toEqual(['sync /resolv.conf.sallyport-new', 'rename /resolv.conf.sallyport-new', 'sync ']);
    expect([text(), statSync(path).mode & 0o777, readdirSync(folder)]).toEqual([NEW, 0o640, ['resolv.conf']]);
    hostFiles.put(path, { kind: 'absent' });
    expect(order.slice(3)).toEqual(['sync ']);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is written in place where the path is a mount, and stands beside it whole until that is done', () => {
    const seen: string[] = [];
    const look = (): void => void seen.push(`${text()}|${readFileSync(`${path}.sallyport-kept`, 'latin1')}`);
    instead({
      renameSync: noRename,
      ftruncateSync(fd, length) {
        real.ftruncateSync(fd, length);
        look();
      },
      fchmodSync(fd, mode) {
        if (nameOf(fd) === '/resolv.conf') look();
        real.fchmodSync(fd, mode);
      },
    });
    const { ino } = statSync(path);
    hostFiles.put(path, file(NEW));
    expect(seen).toEqual([`|${NEW}`, `${NEW}|${NEW}`]);
    expect([text(), statSync(path).ino, statSync(path).mode & 0o777]).toEqual([NEW, ino, 0o640]);
    expect(readdirSync(folder)).toEqual(['resolv.conf']);
  });

  it('leaves the old one where there is no room for the new one in place', () => {
    let writes = 0;
    instead({
      renameSync: noRename,
      writeSync(...values: Parameters<typeof fs.writeSync>) {
        if (nameOf(values[0]) === '/resolv.conf' && writes++ === 0) throw refusal('ENOSPC');
        return real.writeSync(...values);
      },
    });
    expect(() => hostFiles.put(path, file(NEW))).toThrow(/resolv\.conf can't be changed \(ENOSPC\): .*no room left/);
    expect([text(), readdirSync(folder)]).toEqual([OLD, ['resolv.conf']]);
  });

  it('stands beside the path for whoever comes later where not even the old one can be put back', () => {
    instead({
      renameSync: noRename,
      writeSync(...values: Parameters<typeof fs.writeSync>) {
        if (nameOf(values[0]) === '/resolv.conf') throw refusal('EIO');
        return real.writeSync(...values);
      },
    });
    expect(() => hostFiles.put(path, file(NEW))).toThrow('EIO');
    expect(text()).toBe('');
    asItWas();
    instead({ renameSync: noRename });
    hostFiles.tidy(path);
    expect([text(), readdirSync(folder)]).toEqual([NEW, ['resolv.conf']]);
  });

  it('leaves nothing beside a mount whose old content can not be kept', () => {
    const large = OLD.repeat(60_000);
    writeFileSync(path, large);
    instead({ renameSync: noRename });
    expect(() => hostFiles.put(path, file(NEW))).toThrow('larger than');
    expect([text() === large, readdirSync(folder)]).toEqual([true, ['resolv.conf']]);
  });

  it('leaves the old mode, too, where the new one in place is refused half-way', () => {
    chmodSync(path, 0o604);
    let syncs = 0;
    instead({
      renameSync: noRename,
      fsyncSync(fd) {
        if (nameOf(fd) === '/resolv.conf' && syncs++ === 0) throw refusal('EIO');
        real.fsyncSync(fd);
      },
    });
    expect(() => hostFiles.put(path, file(NEW))).toThrow('EIO');
    expect([text(), statSync(path).mode & 0o777, readdirSync(folder)]).toEqual([OLD, 0o604, ['resolv.conf']]);
  });

  it.each([
    ['renamed', real.renameSync],
    ['written in place', noRename],
  ])('needs no file system that knows of owners: %s', (_how, renameSync) => {
    instead({
      renameSync,
      fchownSync() {
        throw refusal('EPERM');
      },
    });
    hostFiles.put(path, file(NEW));
    expect([text(), readdirSync(folder)]).toEqual([NEW, ['resolv.conf']]);
  });

  it.each([
    ['EPERM', /immutable.*lsattr -d \S+resolv\.conf.*chattr -i/],
    ['EROFS', /read-only.*remount,rw/],
    ['EACCES', /no right/],
    ['ENOSPC', /no room left in \S+sallyport-put-\w+; make some/],
    ['EDQUOT', /no room left/],
    ['EIO', /EIO: some words/],
  ])('says what is in the way, and leaves nothing: %s', (code, words) => {
    instead({
      renameSync() {
        throw refusal(code);
      },
    });
    const put = () => hostFiles.put(path, file(NEW));
    expect(put).toThrow(expect.objectContaining({ code, message: expect.stringMatching(words) }));
    expect(put).toThrow(`${path} can't be changed (${code})`);
    expect([text(), readdirSync(folder)]).toEqual([OLD, ['resolv.conf']]);
  });
});

describe('what a killed process was putting', () => {
  const kept = (): void => writeFileSync(`${path}.sallyport-kept`, NEW, { mode: 0o640 });

  it('is finished wherever a write in place has stopped', () => {
    for (let length = 0; length < NEW.length; length++) {
      kept();
      writeFileSync(path, NEW.slice(0, length));
      hostFiles.tidy(path);
      expect([length, text(), readdirSync(folder)]).toEqual([length, NEW, ['resolv.conf']]);
    }
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it.each([
    ['the old one is there still', OLD],
    ['the new one is whole', NEW],
    ['somebody has put another one there', 'nameserver 9.9.9.9\n'],
    ['somebody has added to the new one', `${NEW}options edns0\n`],
  ])('goes where %s', (_title, now) => {
    kept();
    writeFileSync(`${path}.sallyport-new`, 'half');
    writeFileSync(path, now);
    hostFiles.tidy(path);
    expect([text(), readdirSync(folder)]).toEqual([now, ['resolv.conf']]);
  });

  it('is not written through a link that stands there by now, nor read through one', () => {
    kept();
    const other = join(folder, 'other');
    writeFileSync(other, '');
    rmSync(path);
    symlinkSync('other', path);
    hostFiles.tidy(path);
    expect([readFileSync(other, 'utf8'), existsSync(`${path}.sallyport-kept`)]).toEqual(['', false]);
    writeFileSync(other, NEW);
    rmSync(path);
    writeFileSync(path, '');
    symlinkSync('other', `${path}.sallyport-kept`);
    hostFiles.tidy(path);
    expect(text()).toBe('');
  });

  it('is not believed where others could have put it', () => {
    kept();
    writeFileSync(path, '');
    chmodSync(folder, 0o777);
    hostFiles.tidy(path);
    expect([text(), readdirSync(folder)]).toEqual(['', ['resolv.conf']]);
  });
});
