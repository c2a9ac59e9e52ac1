// Holds docs/ARCHITECTURE.md and docs/WIRE.md to the source: a name that is gone, a room or format that came and was not
// written down, fails here.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { OPTIONS } from '../src/config/option-table.ts';
import { OPENVPN_VERSION, SALLYPORT_VERSION } from '../src/version.ts';
import { MAY_IMPORT, PORT_FILES, PURE_ROOMS } from './import-table.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const list = (folder: string): string[] => readdirSync(join(root, folder));
const hasSource = (folder: string): boolean =>
  statSync(join(root, folder)).isDirectory() && list(folder).some((name) => name.endsWith('.ts'));

const architecture = read('docs/ARCHITECTURE.md');
const wire = read('docs/WIRE.md');
const rooms = list('src').filter((name) => hasSource(`src/${name}`));

/** Files with a known ending anywhere in the text, diagrams too, and folders in backticks. Paths may start at src. */
function pathsIn(text: string): string[] {
  const files = text.matchAll(/(?<![\w./@-])(?:[\w-]+\/)*[\w-]+(?:\.[\w-]+)*\.(?:ts|js|mjs|json|sh|txt|md)\b/g);
  const folders = text.matchAll(/`((?:[\w-]+\/)+)`/g);
  return [...new Set([...files, ...folders].map((match) => match[1] ?? match[0]))];
}

const missing = (paths: readonly string[]): string[] =>
  paths.filter((path) => ![path, `src/${path}`, `docs/${path}`].some((place) => existsSync(join(root, place))));

/** Cells of the rows of the table under a header row that starts with these cells. */
function tableOf(text: string, ...header: readonly string[]): string[][] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${header.join(' | ')} |`));
  if (start < 0) throw new Error(`no table with ${header.join(', ')}`);
  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break;
    rows.push(
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

const quoted = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');

describe('README.md', () => {
  it('names what is not there yet as the option table has it', () => {
    const sentence = (/^Not yet .*?\n\n/ms.exec(read('README.md'))?.[0] ?? '').replaceAll('\n', ' ');
    const families: readonly (readonly [pattern: RegExp, words: string])[] = [
      [/^dns(?:-updown)?$/, 'applying DNS (`dns`'],
      [/^management/, 'the management interface'],
      [/pkcs11/, 'PKCS#11'],
      [/^(?:plugin|keying-material-exporter)$/, 'plug-ins'],
      [/^vlan-/, 'VLANs'],
      [/^show-/, '`show-…`'],
    ];
    const later = [...OPTIONS.values()].filter(({ status }) => status.kind === 'not-yet').map(({ name }) => name);
    const words = later.map((name) => families.find(([pattern]) => pattern.test(name))?.[1] ?? `\`${name}\``);
    expect(words.filter((each) => !sentence.includes(each))).toEqual([]);
    const named = [...sentence.matchAll(/`([a-z][a-z0-9-]*)`/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !later.includes(name))).toEqual([]);
  });
});

describe('docs/ARCHITECTURE.md', () => {
  const table = tableOf(architecture, 'room', 'what it is', 'may import');

  it('names only files that exist', () => {
    const paths = pathsIn(architecture);
    expect(paths.length).toBeGreaterThan(90);
    expect(missing(paths)).toEqual([]);
  });

  it('has every room of src in its table, and says of others that they are not built', () => {
    const told = table.map(([room = '', what = '']) => ({
      room: quoted(room)[0],
      built: !what.startsWith('not built'),
    }));
    expect(told.filter(({ built }) => built).map(({ room }) => room)).toEqual(
      Object.keys(MAY_IMPORT).filter((room) => rooms.includes(room)),
    );
    expect(rooms.filter((room) => MAY_IMPORT[room] === undefined)).toEqual([]);
  });

  it('has the import table that the source is held to', () => {
    const told = table.map(([room = '', , imports = '']) => [
      quoted(room)[0],
      [...quoted(imports), ...(/(?:^|, )ports$/.test(imports) ? PORT_FILES : [])],
    ]);
    expect(Object.fromEntries(told)).toEqual(MAY_IMPORT);
    expect(told.length).toBe(Object.keys(MAY_IMPORT).length);
  });

  it('says which rooms are pure', () => {
    const told = table.filter(([, what = '']) => what.endsWith('; pure')).map(([room = '']) => quoted(room)[0]);
    expect(told).toEqual(PURE_ROOMS);
  });

  it('lists the ports', () => {
    const [, sentence = ''] = /^"Ports" are ([^:]*:[^.]*(?:\.ts[^.]*)*)\./m.exec(architecture) ?? [];
    expect(quoted(sentence)).toEqual(PORT_FILES);
  });

  it('has every file at the root of src, and every app', () => {
    const told = tableOf(architecture, 'file', 'what it is').flatMap(([file = '']) => quoted(file));
    const files = list('src').filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'));
    expect(told.sort()).toEqual(files.map((name) => `src/${name}`).sort());
    expect(list('apps').filter((app) => !architecture.includes(`apps/${app}/`))).toEqual([]);
  });
});

describe('docs/WIRE.md', () => {
  const table = tableOf(wire, '§', 'format', 'read and written by');
  const numbers = [
    ...table.map(([number = '']) => number),
    ...[...wire.matchAll(/^##+ (\d+(?:\.\d+)?) /gm)].map((match) => match[1] ?? ''),
  ];

  it('names only files that exist', () => {
    const paths = pathsIn(wire);
    expect(paths.length).toBeGreaterThan(50);
    expect(missing(paths)).toEqual([]);
  });

  it('names every file of src/wire, and every vector', () => {
    const files = [...list('src/wire').map((name) => `src/wire/${name}`), ...list('test/vectors').map(vectorPath)];
    expect(files.length).toBeGreaterThan(15);
    expect(files.filter((path) => !wire.includes(`\`${path}\``))).toEqual([]);
  });

  it('gives each format one number, a source and a word about tests', () => {
    const formats = table.map(([number]) => number);
    expect(new Set(formats).size).toBe(formats.length);
    expect(table.filter((cells) => cells.length !== 5 || cells.includes(''))).toEqual([]);
  });

  it('has every number that comments in the source refer to', () => {
    const references = rooms.flatMap((room) =>
      list(`src/${room}`).flatMap((name) =>
        [
          ...read(`src/${room}/${name}`).matchAll(
            /wire\.md(?: in docs, section)? (\d+(?:\.\d+)?)((?: and \d+(?:\.\d+)?)*)/gi,
          ),
        ]
          .flatMap(([, first = '', more = '']) => [first, ...more.split(' and ').slice(1)])
          .map((number) => ({ path: `src/${room}/${name}`, number })),
      ),
    );
    expect(references.length).toBeGreaterThan(5);
    expect(references.filter(({ number }) => !numbers.includes(number))).toEqual([]);
  });

  it('is measured by the OpenVPN that the program names', () => {
    expect(wire).toContain(`Measured by OpenVPN ${OPENVPN_VERSION},`);
  });
});

describe('the version', () => {
  it('of the program is that of the package', () => {
    expect(SALLYPORT_VERSION).toBe((JSON.parse(read('package.json')) as { version: string }).version);
  });
});

function vectorPath(name: string): string {
  return `test/vectors/${name}`;
}
