// The client process: built as dist/bin/nm-client.js, started by client-process.ts as a user without rights. Everything
// comes over one descriptor, and the device is another one. NetworkManager sets addresses, routes and name servers.

import { Socket } from 'node:net';
import { type Challenge, type Config, createLogger, type Log, SallyportError } from '../../src/command.ts';
import { composeClient } from '../../src/compose.ts';
import { configOfLines } from '../../src/handed-device.ts';
import { bannerOf } from './banner.ts';
import type { ClientProblem } from './failure.ts';
import { DEVICE_FD, type FromClient, JsonLines, MESSAGE_FD, TO_CLIENT_LIMIT_BYTES, type ToClient } from './messages.ts';
import { configLines } from './option-lines.ts';
import type { Answer, Question } from './secrets.ts';
import { tunnelFacts } from './tunnel-facts.ts';

/** A passphrase may be mistyped. */
const PASSPHRASES = 3;
/** The service is gone: the exit notice still goes out. */
const ORPHAN_MS = 3_000;

const pipe = new Socket({ fd: MESSAGE_FD, readable: true, writable: true });
const waiting = new Map<number, (answer: Answer | undefined) => void>();
let nextId = 1;
let end: () => void = () => process.exit(0);

const say = (message: FromClient): void => {
  pipe.write(`${JSON.stringify(message)}\n`);
};

const lines = new JsonLines(TO_CLIENT_LIMIT_BYTES);
pipe.on('data', (bytes: Buffer) => {
  for (const message of lines.push(bytes) as ToClient[]) {
    if (message.type === 'start') void start(message);
    else if (message.type === 'stop') end();
    else waiting.get(message.id)?.(message.answer);
  }
});
pipe.on('error', () => {});
pipe.on('close', () => {
  setTimeout(() => process.exit(1), ORPHAN_MS);
  end();
});
process.on('SIGTERM', () => end());
process.on('SIGINT', () => end());

async function start(order: Extract<ToClient, { type: 'start' }>): Promise<void> {
  const { log } = createLogger({
    verb: order.verb,
    mute: 0,
    sink: ({ flags, text }) => say({ type: 'log', flags, text }),
  });
  const problem = await run(order, log).catch(problemOf);
  say({ type: 'ended', problem });
  pipe.end(() => process.exit(0));
}

/** Resolves at the end of the connection: to what was wrong, if anything was. */
async function run(order: Extract<ToClient, { type: 'start' }>, log: Log): Promise<ClientProblem | undefined> {
  const { config, findings } = configOfLines(configLines(order.lines), 'vpn.data', {});
  const wrong = findings.find(({ severity }) => severity === 'error');
  if (config === undefined) throw configError(wrong?.message ?? 'it can not be used', wrong?.advice);
  const { client, ended } = await compose(order, config, log);
  end = () => client.signal('SIGTERM');
  const done = await ended;
  if (done.kind !== 'exit' || done.error === undefined) return undefined;
  return problemOf(done.error);
}

async function compose(order: Extract<ToClient, { type: 'start' }>, config: Config, log: Log) {
  for (let tries = 1; ; tries += 1) {
    let passphraseGiven = false;
    try {
      const composed = await composeClient(config, {
        log,
        passphrase: async () => {
          const { passphrase } = await answered({ kind: 'passphrase' }, undefined);
          passphraseGiven = true;
          return passphrase;
        },
        credentials: {
          ask: (_known, signal, of) => answered({ kind: 'login', of }, signal),
        },
        challenges: {
          respond: ({ text, echo, responseRequired }: Challenge, signal) => {
            if (responseRequired) {
              return answered({ kind: 'challenge', text, echo }, signal).then(({ response }) => response);
            }
            say({ type: 'banner', text });
            return Promise.resolve('');
          },
          webLogin: undefined,
          announced: ['crtext'],
          ignoresAuthRetry: true,
        },
        configFile: order.name,
        directory: '/',
        scriptOutput: 'ignore',
        workerUrl: new URL('./data-worker.js', import.meta.url),
        hasProcess: true,
        handed: { device: { ...order.device, fd: DEVICE_FD }, blocksIpv6: order.blocksIpv6 },
      });
      const foreignOptions = (): string[] =>
        Object.entries(composed.scriptEnvironment()).flatMap(([name, value]) =>
          name.startsWith('foreign_option_') ? [value] : [],
        );
      let asks = false;
      const { client, run: began } = composed.start({
        state(state) {
          if (state.phase !== 'connected') return;
          say({ type: 'up', facts: tunnelFacts(state.plan, state.remote, foreignOptions()) });
        },
        peerConnected() {},
        info() {},
        echo(text) {
          const banner = bannerOf(text);
          if (banner !== undefined) say({ type: 'banner', text: banner });
        },
        loginRefused(reason) {
          asks = reason.startsWith('CRV1:');
        },
        signalled({ error, text }) {
          // Neither a token that has expired nor a question of the server's is a refusal of the password.
          const refused = text === 'auth-failure' && error?.code === 'SALLYPORT_AUTH_FAILED' && !asks;
          if (refused) say({ type: 'refused', question: { kind: 'login', of: 'Auth' } });
          if (error !== undefined) say({ type: 'attempt-failed', problem: problemOf(error) });
        },
      });
      return { client, ended: began() };
    } catch (error) {
      if (!passphraseGiven || tries >= PASSPHRASES) throw passphraseGiven ? asLoginProblem(error) : error;
      say({ type: 'refused', question: { kind: 'passphrase' } });
    }
  }
}

type AnswerTo<Q extends Question> = Q extends { kind: 'login' }
  ? Extract<Answer, { username: string }>
  : Q extends { kind: 'passphrase' }
    ? Extract<Answer, { passphrase: string }>
    : Extract<Answer, { response: string }>;

/** Asks the service, which may have to ask a person. */
function answered<Q extends Question>(question: Q, signal: AbortSignal | undefined): Promise<AnswerTo<Q>> {
  const id = nextId++;
  return new Promise((resolve, reject) => {
    const give = (answer: Answer | undefined): void => {
      waiting.delete(id);
      signal?.removeEventListener('abort', withdraw);
      if (answer === undefined) reject(signal?.reason ?? noAnswer());
      else resolve(answer as AnswerTo<Q>);
    };
    const withdraw = (): void => {
      say({ type: 'withdrawn', id });
      give(undefined);
    };
    waiting.set(id, give);
    signal?.addEventListener('abort', withdraw, { once: true });
    if (signal?.aborted === true) withdraw();
    else say({ type: 'question', id, question });
  });
}

const noAnswer = (): SallyportError =>
  new SallyportError('Nobody has answered', { code: 'SALLYPORT_CREDENTIALS', blame: 'config' });

const configError = (message: string, hint: string | undefined): SallyportError =>
  new SallyportError(message, { code: 'SALLYPORT_CONFIG', blame: 'config', ...(hint === undefined ? {} : { hint }) });

/** What comes of a passphrase that does not open the key is about the login, whatever the words. */
function asLoginProblem(error: unknown): unknown {
  const { message, hint } = problemOf(error);
  return new SallyportError(message, {
    code: 'SALLYPORT_CREDENTIALS',
    blame: 'config',
    ...(hint === undefined ? {} : { hint }),
  });
}

function problemOf(error: unknown): ClientProblem {
  if (!(error instanceof SallyportError)) {
    return { code: undefined, message: String((error as Error)?.message ?? error), hint: undefined, retry: false };
  }
  const { code, message, hint, retry } = error;
  return { code, message, hint, retry };
}
