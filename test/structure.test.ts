// Holds the house to its plan: who may import whom, how long a file may be, which globals a pure room may not use.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { MAY_IMPORT, PURE_ROOMS } from './import-table.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

const SHARED = new Set(['error.ts', 'log.ts', 'ports.ts', 'version.ts']);
const LINES_STOP = 600;

/** Names that would let a platform, a clock or chance into a pure room. */
const BANNED_IN_PURE =
  /(?<![.\w])(?:Buffer|Date|setTimeout|setInterval|setImmediate|queueMicrotask|console|process|globalThis|performance)\s*[.(]|Math\.random/;

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(join(root, path)).isDirectory()) return filesBelow(path);
    return path.endsWith('.ts') ? [path] : [];
  });
}

const sources = filesBelow('src').filter((path) => !path.endsWith('.d.ts'));
const apps = filesBelow('apps');

function importsOf(path: string): { target: string; bare: boolean; typeOnly: boolean }[] {
  const text = readFileSync(join(root, path), 'utf8');
  const found: { target: string; bare: boolean; typeOnly: boolean }[] = [];
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;
  for (const match of text.matchAll(pattern)) {
    const name = match[2] ?? match[3] ?? '';
    const bare = !name.startsWith('.');
    const target = bare ? name : normalize(join(dirname(path), name));
    found.push({ target, bare, typeOnly: match[1] !== undefined });
  }
  return found;
}

const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');

describe('the structure of the source', () => {
  it('finds the rooms it is meant to hold', () => {
    expect(sources.length).toBeGreaterThan(80);
    expect(sources.flatMap(importsOf).length).toBeGreaterThan(200);
  });

  it('lets each room import only what the table allows', () => {
    const wrong = sources.flatMap((path) => {
      const [, room, ...rest] = path.split('/');
      if (room === undefined || rest.length === 0) return [];
      const allowed = MAY_IMPORT[room];
      if (allowed === undefined) return [`${path}: no room of that name`];
      return importsOf(path)
        .filter(({ bare }) => !bare)
        .map(({ target }) => relative('src', target))
        .filter((target) => {
          const other = target.split('/')[0] ?? '';
          return other !== room && !SHARED.has(target) && !allowed.includes(other) && !allowed.includes(target);
        })
        .map((target) => `${path} imports ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it('keeps rooms flat, with no third level', () => {
    expect(sources.filter((path) => path.split('/').length > 3)).toEqual([]);
  });

  it('lets no pure room import node, koffi or any package but ipaddr.js', () => {
    const wrong = sources
      .filter((path) => PURE_ROOMS.includes(path.split('/')[1] ?? ''))
      .flatMap((path) =>
        importsOf(path)
          .filter(({ bare, target }) => bare && target !== 'ipaddr.js')
          .map(({ target }) => `${path}: ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it('lets only linux/ import koffi', () => {
    const wrong = [...sources, ...apps].filter(
      (path) => !path.startsWith('src/linux/') && importsOf(path).some(({ target }) => target === 'koffi'),
    );
    expect(wrong).toEqual([]);
  });

  it('lets no pure room use a clock, chance or a platform global', () => {
    const wrong = sources
      .filter((path) => PURE_ROOMS.includes(path.split('/')[1] ?? ''))
      .flatMap((path) => {
        const code = withoutComments(readFileSync(join(root, path), 'utf8')).replace(/'[^'\n]*'|`[^`]*`/g, "''");
        const match = BANNED_IN_PURE.exec(code);
        return match === null ? [] : [`${path}: ${match[0]}`];
      });
    expect(wrong).toEqual([]);
  });

  it('lets apps import only the entry points of src', () => {
    const wrong = apps.flatMap((path) =>
      importsOf(path)
        .filter(({ bare, target }) => !bare && target.startsWith('src/') && target.split('/').length > 2)
        .map(({ target }) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('lets no room import an app', () => {
    expect(sources.filter((path) => importsOf(path).some(({ target }) => target.startsWith('apps/')))).toEqual([]);
  });

  it(`keeps every file at ${LINES_STOP} lines or fewer`, () => {
    const long = [...sources, ...apps]
      .map((path) => ({ path, lines: readFileSync(join(root, path), 'utf8').split('\n').length }))
      .filter(({ lines }) => lines > LINES_STOP);
    expect(long).toEqual([]);
  });

  it('uses no enum, namespace or default export', () => {
    const wrong = [...sources, ...apps].filter((path) =>
      /^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?(?:enum|namespace)\s+\w+|^export default/m.test(
        withoutComments(readFileSync(join(root, path), 'utf8')),
      ),
    );
    expect(wrong).toEqual([]);
  });
});
