// docs/COMPATIBILITY.md, made from the option table.

import type { OptionRow } from '../src/config/option-row.ts';
import { OPTION_GROUPS, OPTIONS } from '../src/config/option-table.ts';
import { deprecationOf, STATUS_WORDS, whyOf } from '../src/config/option-words.ts';
import { OPENVPN_VERSION } from '../src/version.ts';
import type { OptionHistory } from './option-history.ts';

export function compatibilityText(history: OptionHistory): string {
  const all = [...OPTIONS.values()];
  const counts = Object.entries(STATUS_WORDS).map(([kind, words]) => {
    const count = all.filter(({ status }) => status.kind === kind).length;
    return `| ${words} | ${count} | ${MEANING[kind as keyof typeof MEANING]} |`;
  });
  return `${[
    '# Options of OpenVPN, and what becomes of them',
    '',
    '<!-- Made by `npm run docs` from the option table (src/config/rows-*.ts). Do not edit. -->',
    '',
    `Every option that OpenVPN 2.x has or had, ${all.length} of them, measured by OpenVPN ${OPENVPN_VERSION}. \`sallyport check FILE\` gives`,
    'the same answers for the lines of a profile, `sallyport --help` and sallyport(8) say what each option does. What has been',
    'tried against which OpenVPN is in the [README](../README.md#what-has-been-tried).',
    '',
    '| answer | options | what it means |',
    '| --- | --- | --- |',
    ...counts,
    '',
    '"since" is the version of Sallyport that answered so first.',
    ...OPTION_GROUPS.flatMap(({ title, rows }) => [
      '',
      `## ${title}`,
      '',
      '| option | answer | since | what it is, and why it is answered so |',
      '| --- | --- | --- | --- |',
      ...rows.map((row) => tableRow(row, history)),
    ]),
  ].join('\n')}\n`;
}

const MEANING: Readonly<Record<OptionRow['status']['kind'], string>> = {
  works: 'It does what it does in OpenVPN.',
  'no-effect': 'A configuration with it is taken, and the option changes nothing: it is not needed here.',
  refused: 'A configuration with it is an error, on purpose; what to write instead stands beside it.',
  'not-yet': 'Meant for a later version. Where leaving it out would change what one gets, it is an error.',
};

function tableRow(row: OptionRow, history: OptionHistory): string {
  const args = row.args === '' ? '' : ` ${row.args}`;
  const known = [
    row.help,
    row.aliasOf === undefined || row.help.includes(row.aliasOf) ? '' : `Another name of \`${row.aliasOf}\`.`,
    whyOf(row),
    deprecationOf(row),
    row.pushable ? 'May be pushed.' : '',
  ];
  return `| ${[
    `\`${row.name}${args}\``,
    STATUS_WORDS[row.status.kind],
    history[row.name]?.[1] ?? '',
    known.filter(Boolean).join(' '),
  ]
    .map((cell) => cell.replaceAll('|', '\\|'))
    .join(' | ')} |`;
}
