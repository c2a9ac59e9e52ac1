// `sallyport check FILE… [--json]`: reads profiles and says, line by line, what is unknown, refused, ignored, deprecated or
// unsafe in them, and in the certificates and keys that they name. Nothing is connected and nothing is changed.
//
// Exit code: 0 if every profile can be used (warnings and notices may be there), 1 if one has an error or the command line
// is wrong. So a script can stop before it installs a profile that does not work, while old options alone don't break it.

import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkMaterial } from '../../src/check-material.ts';
import { cleanTerminalText, MAX_PROFILE_BYTES, readBoundedFile } from '../../src/command.ts';
import { type Config, checkProfile, type Finding, inLineOrder } from '../../src/config.ts';
import { accessProblem, adviceOnMissing, type NamedFile, namedFiles, sentenceOf } from './named-files.ts';

export interface CheckIo {
  /** Standard output. */
  write(text: string): void;
  /** Standard error. */
  complain(text: string): void;
  /** Directory that relative paths start from. */
  readonly directory: string;
}

interface CheckedFile {
  readonly file: string;
  readonly findings: readonly Finding[];
}

const USAGE = 'Usage: sallyport check FILE… [--json]\n';

/** Checks the files in `argv`; resolves to the exit code. */
export async function runCheck(argv: readonly string[], io: CheckIo): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    io.write(USAGE);
    return 0;
  }
  const json = argv.includes('--json');
  const files = argv.filter((word) => word !== '--json');
  const unknown = files.find((word) => word.startsWith('-') && word !== '-');
  if (unknown !== undefined || files.length === 0) {
    if (unknown !== undefined) io.complain(`sallyport check: unknown option ${unknown}\n`);
    io.complain(USAGE);
    return 1;
  }
  const checked: CheckedFile[] = [];
  for (const file of files) checked.push(await checkFile(file, io));
  io.write(json ? `${JSON.stringify(checked.map(asJson), undefined, 2)}\n` : checked.map(asText).join(''));
  return checked.some(hasErrors) ? 1 : 0;
}

const hasErrors = ({ findings }: CheckedFile): boolean => findings.some((each) => each.severity === 'error');

async function checkFile(file: string, io: CheckIo): Promise<CheckedFile> {
  const readText = (path: string): string => {
    const target = path === 'stdin' || path === '-' ? 0 : resolve(io.directory, path);
    return textOf(readBoundedFile(target, MAX_PROFILE_BYTES));
  };
  let text: string;
  try {
    text = readText(file);
  } catch (error) {
    const finding: Finding = {
      severity: 'error',
      kind: 'invalid',
      origin: { file, line: 0 },
      option: 'config',
      message: `Error opening configuration file: ${file}: ${sentenceOf(error)}`,
      advice: 'Check that the file exists and that you may read it.',
    };
    return { file, findings: [finding] };
  }
  const { config, findings } = checkProfile({ text, file }, { readText });
  const files = namedFiles(config).flatMap((each) => lookAtFile(each, file, config, io));
  const material = await checkMaterial(config, io.directory, Date.now() / 1000);
  return { file, findings: inLineOrder([...findings, ...files, ...material]) };
}

// A file in another encoding would be garbage as UTF-8 without anybody saying so. Bytes above 127 that are not UTF-8 are
// allowed where they do no harm, in comments and names.
const textOf = (bytes: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);

function lookAtFile(named: NamedFile, profile: string, config: Config, io: CheckIo): Finding[] {
  const { option, path, origin, secret, need } = named;
  const base = resolve(io.directory, config.process.cd ?? '.');
  const target = resolve(base, path);
  const say = (severity: Finding['severity'], kind: Finding['kind'], message: string, advice: string): Finding[] => [
    { severity, kind, origin, option, message, advice },
  ];
  const problem = accessProblem(target, need);
  if (problem !== undefined) {
    const beside = resolve(io.directory, dirname(profile), path);
    if (beside !== target && accessProblem(beside, need) === undefined) {
      return say(
        'notice',
        'invalid',
        `${path} is not in ${base} but beside the profile`,
        `Start with --cd ${dirname(beside)}, or write the whole path.`,
      );
    }
    return say(
      'error',
      'invalid',
      `--${option} fails with '${path}': ${problem.sentence}`,
      adviceOnMissing(named, config.tls.role === 'server'),
    );
  }
  if (!secret) return [];
  const mode = statSync(target).mode & 0o777;
  if ((mode & 0o077) === 0) return [];
  return say('warning', 'unsafe', `file '${path}' is group or others accessible`, `chmod 600 ${path}`);
}

const MARKS = { error: 'error', warning: 'warning', notice: 'note' } as const;

function asText({ file, findings }: CheckedFile): string {
  if (findings.length === 0) return `${file}: nothing to complain about\n`;
  const lines = findings.map(({ origin, severity, kind, option, message, advice }) => {
    const place = origin.line > 0 ? `${origin.file}:${origin.line}` : origin.file;
    const subject = option === '' || names(message, option) ? '' : `${option}: `;
    const head = `${place}: ${MARKS[severity]} (${kind}): ${subject}${message}`;
    // A profile comes from somebody else: nothing in it may steer the terminal.
    const first = `${cleanTerminalText(head)}\n`;
    return advice === undefined ? first : `${first}    ${cleanTerminalText(advice)}\n`;
  });
  const count = (severity: Finding['severity']): number => findings.filter((each) => each.severity === severity).length;
  const verdict = hasErrors({ file, findings }) ? 'cannot be used' : 'can be used';
  return `${lines.join('')}${file}: ${verdict}; ${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}, ${plural(count('notice'), 'note')}\n`;
}

// Whether a message says already which option it is about.
const names = (message: string, option: string): boolean =>
  message.split(/[^\w.-]+/).some((word) => word.replace(/^--|[.-]+$/g, '') === option);

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

function asJson({ file, findings }: CheckedFile): object {
  return {
    file,
    usable: !hasErrors({ file, findings }),
    findings: findings.map(({ origin, severity, kind, option, message, advice }) => ({
      file: origin.file,
      line: origin.line,
      severity,
      kind,
      option,
      message,
      advice: advice ?? null,
    })),
  };
}
