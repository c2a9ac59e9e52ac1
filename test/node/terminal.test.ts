import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { cleanTerminalText, createLineEditor, prompts } from '../../src/node/terminal.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-terminal-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const fixture = fileURLToPath(new URL('./fixtures-terminal.mts', import.meta.url));
const hasScript = existsSync('/usr/bin/script');

const feed = (...parts: string[]) => {
  let shown = '';
  const editor = createLineEditor((text) => {
    shown += text;
  });
  const states = parts.map((part) => editor.feed(Buffer.from(part, 'latin1')));
  return { states, text: editor.text(), shown };
};

describe('the line editor', () => {
  it.each([
    [['abc\r'], 'done', 'abc'],
    [['a', 'b\n'], 'done', 'ab'],
    [['abx\x7fc\r'], 'done', 'abc'],
    [['\x7f\x7fa\r'], 'done', 'a'],
    [['wrong\x15right\r'], 'done', 'right'],
    [['ab\x03'], 'interrupted', 'ab'],
    [['\x04'], 'interrupted', ''],
    [['ab\x04'], 'done', 'ab'],
    [['a\x1b\x00b\r'], 'done', 'ab'],
    [['\xc3', '\xa9\r'], 'done', 'é'],
  ])('makes of %j: %s, %j', (parts, state, text) => {
    const result = feed(...parts);
    expect(result.states.at(-1)).toBe(state);
    expect(result.text).toBe(text);
  });

  it('shows what is typed where it may, and bounds it', () => {
    expect(feed('ab\x7f').shown).toBe('ab\b \b');
    expect(feed('x'.repeat(10_000)).text).toHaveLength(4095);
  });
});

describe('text for a terminal', () => {
  it('keeps letters of every kind, and nothing that steers or turns round', () => {
    expect(cleanTerminalText('Zoë 日本 😀')).toBe('Zoë 日本 😀');
    expect(cleanTerminalText('a\0\t\n\x1b[2J\x7f\x9bb')).toBe('a____[2J__b');
    expect(cleanTerminalText('a\u2028\u2029\u202a\u202e\u2066\u2069b')).toBe('a______b');
  });
});

describe('the questions', () => {
  it("are the C program's", () => {
    expect(prompts.username('Auth').prompt).toBe('Enter Auth Username');
    expect(prompts.password('Private Key')).toEqual({ prompt: 'Enter Private Key Password', echo: false });
    expect(prompts.challenge('Pin?', true)).toEqual({ prompt: 'CHALLENGE: Pin?', echo: true, suffix: ' ' });
  });
});

interface Played {
  readonly screen: string;
  readonly report: Record<string, unknown>;
}

/** Runs the fixture on a terminal of its own; answers each prompt when it is seen. */
function play(name: string, answers: readonly (readonly [prompt: string, keys: string])[], mode = ''): Promise<Played> {
  const report = join(dir, name);
  const command = `${process.execPath} --import tsx ${fixture} ${report} ${mode}`;
  return new Promise((resolve, reject) => {
    const child = spawn('/usr/bin/script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let screen = '';
    let next = 0;
    child.stdout.on('data', (bytes: Buffer) => {
      screen += bytes.toString('utf8');
      const answer = answers[next];
      if (answer === undefined || !screen.includes(answer[0])) return;
      next++;
      child.stdin.write(answer[1]);
    });
    child.on('error', reject);
    child.on('close', () => {
      if (existsSync(report)) resolve({ screen, report: JSON.parse(readFileSync(report, 'utf8')) });
      else reject(new Error(`the fixture said nothing: ${screen}`));
    });
  });
}

describe.skipIf(!hasScript)('the terminal', () => {
  it('shows the name and hides the password, and leaves no descriptor open', async () => {
    const { screen, report } = await play('answers', [
      ['Enter Auth Username:', 'zoë\r'],
      ['Enter Auth Password:', 'sécret\r'],
    ]);
    expect(report).toEqual({ username: 'zoë', password: 'sécret', leaked: 0 });
    expect(screen).toContain('Enter Auth Username:zoë');
    expect(screen).not.toContain('sécret');
  });

  it('asks a challenge behind its text, and shows a line, both without control characters', async () => {
    const { screen, report } = await play(
      'challenge',
      [
        ['CHALLENGE: Code_? ', '12345\r'],
        ['CHALLENGE: Again? ', '678\r'],
      ],
      'challenge',
    );
    expect(report).toEqual({ response: '12345', echoed: '678' });
    expect(screen).toContain('Log in_[2J here: https://id.example/');
    expect(screen).not.toContain('12345');
    expect(screen).toContain('CHALLENGE: Again? 678');
  });

  it('takes Ctrl-C and an abort for no answer', async () => {
    const keys = await play('ctrl-c', [['Enter Auth Username:', '\x03']]);
    expect(keys.report).toMatchObject({ code: 'SALLYPORT_ABORTED' });
    const aborted = await play('abort', [], 'abort');
    expect(aborted.report).toMatchObject({ code: 'SALLYPORT_ABORTED' });
  });
});

describe.skipIf(existsSync('/run/systemd/system'))('without a terminal', () => {
  it('says that nobody can be asked, and which options help', async () => {
    const report = join(dir, 'nobody');
    const child = spawn(process.execPath, ['--import', 'tsx', fixture, report], { detached: true, stdio: 'ignore' });
    await new Promise((resolve) => child.once('close', resolve));
    const told = JSON.parse(readFileSync(report, 'utf8')) as { error: string };
    expect(told.error).toContain("can't ask for 'Enter Auth Username:'");
  });
});
