// Asks two questions on the terminal, for terminal.test.ts, and tells answers and open descriptors.
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { createTerminal, prompts } from '../../src/node/terminal.ts';

const report = process.argv[2] ?? '';
const terminal = createTerminal();
const signal = process.argv[3] === 'abort' ? AbortSignal.timeout(300) : new AbortController().signal;
/** Descriptors of terminals: others come and go with the loader of TypeScript. */
const fds = (): number => readdirSync('/proc/self/fd').filter((fd) => isTerminal(fd)).length;
const tell = (value: unknown): void => writeFileSync(report, JSON.stringify(value));
try {
  if (process.argv[3] === 'challenge') {
    terminal.tell('Log in\x1b[2J here: https://id.example/');
    const response = await terminal.ask(prompts.challenge('Code\x07?', false), signal);
    tell({ response, echoed: await terminal.ask(prompts.challenge('Again?', true), signal) });
    process.exit(0);
  }
  const before = fds();
  const username = await terminal.ask(prompts.username('Auth'), signal);
  const password = await terminal.ask(prompts.password('Auth'), signal);
  await new Promise((resolve) => setImmediate(resolve));
  tell({ username, password, leaked: fds() - before });
} catch (error) {
  tell({ error: (error as Error).message, code: (error as { code?: string }).code });
}

function isTerminal(fd: string): boolean {
  try {
    return /^\/dev\/(tty|pts\/)/.test(readlinkSync(`/proc/self/fd/${fd}`));
  } catch {
    return false; // the descriptor of the listing itself
  }
}
