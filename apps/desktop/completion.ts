// Completion for bash, zsh and fish, made of the command table and the option table. Pure.

import { OPTIONS } from '../../src/config.ts';
import { COMMANDS, type CommandRow } from './command-table.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** Words that other parts of the program answer, and the words that may follow. */
const FOLLOWING = {
  check: ['--json'],
  pki: ['init', 'server', 'client', 'revoke', 'renew', 'list', 'crl'],
  server: ['init'],
} as const;
const OTHERS = [...Object.keys(FOLLOWING), 'help'];

const PROFILES = `sallyport list --json 2>/dev/null | sed -n 's/^ *"name": "\\(.*\\)",$/\\1/p'`;

/** The script for a shell; undefined for one that is not known. */
export function completionFor(shell: string): string | undefined {
  const make: Readonly<Record<Shell, () => string>> = { bash, zsh, fish };
  return Object.hasOwn(make, shell) ? make[shell as Shell]() : undefined;
}

const names = (): readonly string[] => [...COMMANDS.map(({ name }) => name), ...OTHERS];
const followers = (): readonly (readonly [string, readonly string[]])[] => [
  ...Object.entries(FOLLOWING),
  ['help', [...COMMANDS.map(({ name }) => name), ...Object.keys(FOLLOWING)]],
];
const optionNames = (): readonly string[] => [...OPTIONS.keys()].map((name) => `--${name}`);
const flags = (row: CommandRow): string =>
  row.options.flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]).join(' ');

function words({ completes }: CommandRow): string {
  switch (completes) {
    case 'profile':
    case 'profile-or-file':
      return `$(${PROFILES})`;
    case 'shell':
      return SHELLS.join(' ');
    default:
      return '';
  }
}

const takesFile = ({ completes }: CommandRow): boolean => completes === 'file' || completes === 'profile-or-file';

function bash(): string {
  const cases = COMMANDS.map((row) => {
    const files = takesFile(row) ? ' files=1' : '';
    return `    ${row.name}) words="${flags(row)} ${words(row)}"${files} ;;`;
  });
  for (const [name, following] of followers()) {
    cases.push(`    ${name}) words='${following.join(' ')}'${name === 'help' ? '' : ' files=1'} ;;`);
  }
  return `# bash completion of sallyport; made by sallyport completion bash
_sallyport() {
  local word=\${COMP_WORDS[COMP_CWORD]} words='' files=''
  if ((COMP_CWORD == 1)); then
    case $word in
    -*) words='${optionNames().join(' ')}' ;;
    *) words='${names().join(' ')}' files=1 ;;
    esac
  else
    case \${COMP_WORDS[1]} in
${cases.join('\n')}
    -*) words='${optionNames().join(' ')}' files=1 ;;
    *) files=1 ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [[ -n $files ]]; then COMPREPLY+=($(compgen -f -- "$word")); fi
}
complete -o filenames -F _sallyport sallyport
`;
}

function zsh(): string {
  const quoted = (text: string): string => text.replaceAll("'", "'\\''").replaceAll(':', '\\:');
  const described = [
    ...COMMANDS.map(({ name, help }) => `'${name}:${quoted(help)}'`),
    ...OTHERS.map((name) => `'${name}'`),
  ];
  const cases = COMMANDS.map(
    (row) =>
      `    ${row.name}) compadd -- ${flags(row)} ${words(row).replace(/^\$\(/, '${(f)"$(').replace(/\)$/, ')"}')}${takesFile(row) ? '; _files' : ''} ;;`,
  );
  for (const [name, following] of followers()) {
    cases.push(`    ${name}) compadd -- ${following.join(' ')}${name === 'help' ? '' : '; _files'} ;;`);
  }
  return `#compdef sallyport
# zsh completion of sallyport; made by sallyport completion zsh
_sallyport() {
  if ((CURRENT == 2)); then
    if [[ $words[2] == -* ]]; then
      compadd -- ${optionNames().join(' ')}
    else
      local -a commands
      commands=(${described.join(' ')})
      _describe command commands
      _files
    fi
    return
  fi
  case $words[2] in
${cases.join('\n')}
    *) compadd -- ${optionNames().join(' ')}; _files ;;
  esac
}
if [ "$funcstack[1]" = "_sallyport" ]; then _sallyport "$@"; else compdef _sallyport sallyport; fi
`;
}

function fish(): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = COMMANDS.flatMap((row) => {
    const seen = `-n '__fish_seen_subcommand_from ${row.name}'`;
    const offered = words(row).replace(/^\$\(/, '(');
    return [
      `complete -c sallyport -n __fish_use_subcommand -a ${row.name} -d ${quoted(row.help)}`,
      ...row.options.map(
        ({ name, short, value, help }) =>
          `complete -c sallyport ${seen} -l ${name}${short === undefined ? '' : ` -s ${short}`}${value === undefined ? '' : ' -r'} -d ${quoted(help)}`,
      ),
      ...(offered === '' ? [] : [`complete -c sallyport ${seen}${takesFile(row) ? '' : ' -f'} -a ${quoted(offered)}`]),
    ];
  });
  const options = [...OPTIONS.values()].map(
    ({ name, help }) => `complete -c sallyport -n __fish_use_subcommand -l ${name} -d ${quoted(help)}`,
  );
  const others = followers().flatMap(([name, following]) => [
    `complete -c sallyport -n __fish_use_subcommand -a ${name}`,
    `complete -c sallyport -n '__fish_seen_subcommand_from ${name}'${name === 'help' ? ' -f' : ''} -a '${following.join(' ')}'`,
  ]);
  return `# fish completion of sallyport; made by sallyport completion fish\n${[...lines, ...others, ...options].join('\n')}\n`;
}
