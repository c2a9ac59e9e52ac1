import { describe, expect, it } from 'vitest';
import type { ScriptPort } from '../../src/tunnel/ports.ts';
import { runsOnRestart, ScriptRunner, scriptFor, scriptSecurityNote } from '../../src/tunnel/script-plan.ts';
import { configOf } from './profile.ts';

const lines = [
  'script-security 2',
  'up "/etc/up.sh a b"',
  'down /etc/down.sh',
  'route-up /etc/route-up.sh',
  'tls-verify /etc/verify.sh',
];

type Result = Awaited<ReturnType<ScriptPort['run']>>;
const ended = (exitCode: number): Result => ({ exitCode, signal: undefined, error: undefined });

function bench(security: 0 | 1 | 2 | 3, result: Result = ended(0)) {
  const ran: (readonly string[])[] = [];
  const said: string[] = [];
  const port: ScriptPort = {
    run: (argv) => {
      ran.push(argv);
      return Promise.resolve(result);
    },
  };
  return { ran, said, runner: new ScriptRunner(security, port, (_, text) => said.push(text)) };
}

const { scripts } = configOf(...lines);
const up = scriptFor('up', scripts, ['tun0', '1500', '0', 'init'])!;
const routeUp = scriptFor('route-up', scripts, [])!;
const verify = scriptFor('tls-verify', scripts, ['0', 'CN=x'])!;

describe('scriptFor', () => {
  it('puts the profile’s words before the occasion’s', () => {
    expect(up.argv).toEqual(['/etc/up.sh', 'a', 'b', 'tun0', '1500', '0', 'init']);
  });

  it('is undefined where the profile names no script', () => {
    expect(scriptFor('route-pre-down', scripts, [])).toBeUndefined();
  });

  it('ends the program for up and down only', () => {
    expect([up.fatal, scriptFor('down', scripts, [])?.fatal, routeUp.fatal, verify.fatal]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('runs on a restart only under up-restart', () => {
    expect(runsOnRestart('up', scripts)).toBe(false);
    expect(runsOnRestart('up', configOf(...lines, 'up-restart').scripts)).toBe(true);
    expect(runsOnRestart('down', configOf('up /x', 'up-restart', 'script-security 2').scripts)).toBe(false);
  });
});

describe('ScriptRunner', () => {
  it('says the command line of up and down before it runs', async () => {
    const { ran, said, runner } = bench(2);
    expect(await runner.run(up, {})).toBe('succeeded');
    expect(said).toEqual(['/etc/up.sh a b tun0 1500 0 init']);
    expect(ran).toHaveLength(1);
  });

  it.each([0, 1] as const)('runs nothing at script-security %i, and warns once', async (security) => {
    const { ran, said, runner } = bench(security);
    expect(await runner.run(routeUp, {})).toBe('not-allowed');
    expect(await runner.run(routeUp, {})).toBe('not-allowed');
    expect(ran).toEqual([]);
    const failed = 'WARNING: Failed running command (--route-up): disallowed by script-security setting';
    expect(said).toEqual([
      "WARNING: External program may not be called unless '--script-security 2' or higher is enabled. See --help text or man page for detailed info.",
      failed,
      failed,
    ]);
  });

  it.each<[string, Result]>([
    ['external program exited with error status: 3', ended(3)],
    ['could not execute external program', ended(127)],
    ['could not execute external program', { exitCode: undefined, signal: undefined, error: 'ENOENT' }],
    [
      'external program did not end within 60 seconds and was stopped',
      { exitCode: 0, signal: undefined, error: 'did not end within 60 seconds and was stopped', stopped: true },
    ],
    ['external program did not exit normally', { exitCode: undefined, signal: 'SIGKILL', error: undefined }],
  ])('ends the program when up fails: %s', async (reason, result) => {
    const { runner } = bench(2, result);
    await expect(runner.run(up, {})).rejects.toMatchObject({
      code: 'SALLYPORT_SCRIPT',
      message: `WARNING: Failed running command (--up/--down): ${reason}`,
    });
  });

  it('ends the program when up is not allowed to run', async () => {
    await expect(bench(1).runner.run(up, {})).rejects.toMatchObject({ code: 'SALLYPORT_SCRIPT' });
  });

  it('goes on when route-up fails', async () => {
    const { said, runner } = bench(2, ended(1));
    expect(await runner.run(routeUp, {})).toBe('failed');
    expect(said).toEqual([
      'WARNING: Failed running command (--route-up): external program exited with error status: 1',
    ]);
  });

  it('never takes a tls-verify script that failed or could not run for a yes', async () => {
    expect(await bench(2, ended(1)).runner.run(verify, {})).toBe('failed');
    expect(await bench(1).runner.run(verify, {})).toBe('not-allowed');
    expect(await bench(2).runner.run(verify, {})).toBe('succeeded');
  });
});

describe('scriptSecurityNote', () => {
  it('is said only where the profile names a script', () => {
    expect(scriptSecurityNote(configOf())).toBeUndefined();
    expect(scriptSecurityNote(configOf(...lines))).toMatch(/^NOTE: the current --script-security setting may allow/);
    expect(scriptSecurityNote(configOf('up /x'))).toMatch(/^NOTE: starting with OpenVPN 2\.1/);
  });
});
