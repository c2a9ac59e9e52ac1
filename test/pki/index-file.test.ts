import { describe, expect, it } from 'vitest';
import {
  type IndexEntry,
  nameOf,
  parseAsn1Time,
  parseIndex,
  writeAsn1Time,
  writeIndex,
} from '../../apps/pki/index-file.ts';

const TEXT = [
  'V\t270308211309Z\t\tC44EF263926D06F81AD6D6184EF83880\tunknown\t/CN=server1',
  'R\t290302211310Z\t261128211310Z\t671E19AF934B1E8664FDE24791B04A2D\tunknown\t/CN=client2',
  'R\t290302211310Z\t261128211310Z,keyCompromise\t01\tunknown\t/C=DE/O=Example/CN=client3/emailAddress=a@b',
  'E\t20620101000000Z\t\t02\tfile.pem\t/O=none',
  '',
].join('\n');

function entriesOf(text: string): readonly IndexEntry[] {
  const parsed = parseIndex(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.entries;
}

describe('index.txt', () => {
  it('is written as it was read', () => {
    expect(writeIndex(entriesOf(TEXT))).toBe(TEXT);
  });

  it('is read with names, states and reasons', () => {
    const entries = entriesOf(TEXT);
    expect(entries.map(nameOf)).toEqual(['server1', 'client2', 'client3', '']);
    expect(entries.map(({ state }) => state)).toEqual(['valid', 'revoked', 'revoked', 'expired']);
    expect(entries[2]?.reason).toBe('keyCompromise');
    expect(entries[1]?.reason).toBeUndefined();
  });

  const bad = [
    ['a cut line', 'V\t270308211309Z\t\tC4'],
    ['an unknown state', 'X\t270308211309Z\t\tC4\tunknown\t/CN=a'],
    ['a revocation without a date', 'R\t270308211309Z\t\tC4\tunknown\t/CN=a'],
    ['a serial that is none', 'V\t270308211309Z\t\t../x\tunknown\t/CN=a'],
    ['an odd serial', 'V\t270308211309Z\t\tC44\tunknown\t/CN=a'],
    ['a 13th month', 'V\t271308211309Z\t\tC4\tunknown\t/CN=a'],
    ['another revocation date', 'R\t270308211309Z\tyesterday\tC4\tunknown\t/CN=a'],
  ];
  it.each(bad)('with %s is refused by its line', (_, line) => {
    expect(parseIndex(`${TEXT}${line}\n`)).toEqual({ problem: 'line 5 is not a line of an openssl index' });
  });

  const times = [
    ['700101000000Z', 0],
    ['491231235959Z', 2_524_607_999],
    ['20500101000000Z', 2_524_608_000],
  ] as const;
  it.each(times)('says a time as %s', (text, unix) => {
    expect(parseAsn1Time(text)).toBe(unix);
    expect(writeAsn1Time(unix)).toBe(text);
  });
});
