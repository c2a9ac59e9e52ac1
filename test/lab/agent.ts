// The test's side of an agent: a process in a namespace (agent-main.ts) that sends and receives traffic on request.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { AgentReply, AgentRequest, AgentVerb, AgentWork } from './agent-work.ts';

interface Waiting {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

export class Agent {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (reply: AgentReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.error === undefined) waiting?.resolve(reply.answer as never);
      else waiting?.reject(new Error(reply.error));
    });
    child.on('exit', () => {
      for (const waiting of this.#waiting.values()) waiting.reject(new Error('the agent ended'));
      this.#waiting.clear();
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Starts one behind a command prefix such as `ip netns exec NAME`. */
  static async start(prefix: readonly string[]): Promise<Agent> {
    const [program = process.execPath, ...rest] = [...prefix, process.execPath, '--import', 'tsx'];
    const child = fork(fileURLToPath(new URL('./agent-main.ts', import.meta.url)), [], {
      execPath: program,
      execArgv: rest,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    // A test run that ends for another reason must not wait for it.
    child.unref();
    child.channel?.unref();
    const ready = new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`the agent ended at once with ${code}`)));
    });
    child.channel?.ref();
    await ready;
    child.channel?.unref();
    return new Agent(child);
  }

  /** One piece of work; rejects when it fails. */
  ask<Verb extends AgentVerb>(verb: Verb, ask: AgentWork[Verb]['ask']): Promise<AgentWork[Verb]['answer']> {
    this.#lastId += 1;
    const request: AgentRequest = { id: this.#lastId, verb, ask };
    this.#child.channel?.ref();
    return new Promise<AgentWork[Verb]['answer']>((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#child.send(request);
    }).finally(() => {
      if (this.#waiting.size === 0) this.#child.channel?.unref();
    });
  }
}
