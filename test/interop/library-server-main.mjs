// A program around the built library's server, for tests with real clients. Argument: a file with settings and options.
// Standard input: one call of a method a line, as JSON; standard output: events, hooks and answers, one a line.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createServer } from 'sallyport/server';

const { settings } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const say = (what, value) => console.log(`${what} ${JSON.stringify(value ?? null)}`);

const server = await createServer(settings, {
  onAuthenticate({ username, password, commonName }) {
    say('authenticate', { username, commonName });
    if (username === undefined) return true;
    return password === 's3cret'
      ? { accept: true, name: `${username}@office` }
      : { accept: false, reason: 'who are you?' };
  },
  onConnect({ username }) {
    return username === 'max' ? { address4: '10.8.0.77', push: ['route 10.77.0.0 255.255.255.0'] } : undefined;
  },
  log: (_flags, line) => console.log(line),
});
for (const type of ['connected', 'disconnected', 'reloaded']) server.on(type, (event) => say(type, event));
say('listening', server.addresses);
for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...args] = JSON.parse(line);
  try {
    const answer = method === 'clients' ? server.clients : await server[method](...args);
    say('answer', answer);
  } catch (error) {
    say('refused', { code: error.code, message: error.message });
  }
}
