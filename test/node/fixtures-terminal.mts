// Asks two questions on the terminal, for terminal.test.ts, and tells answers and open descriptors.
import { readdirSync, writeFileSync } from 'node:fs';
import { createTerminal, prompts } from '../../src/node/terminal.ts';

const report = process.argv[2] ?? '';
const terminal = createTerminal();
const signal = process.argv[3] === 'abort' ? AbortSignal.timeout(300) : new AbortController().signal;
const fds = (): number => readdirSync('/proc/self/fd').length;
const tell = (value: unknown): void => writeFileSync(report, JSON.stringify(value));
try {
  const before = fds();
  const username = await terminal.ask(prompts.username('Auth'), signal);
  const password = await terminal.ask(prompts.password('Auth'), signal);
  await new Promise((resolve) => setImmediate(resolve));
  tell({ username, password, leaked: fds() - before });
} catch (error) {
  tell({ error: (error as Error).message, code: (error as { code?: string }).code });
}
