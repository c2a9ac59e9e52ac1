// `sallyport explain ADDRESS|NAME`: which name server would be asked, the address, the way it takes, and what decides it.

import { cleanTerminalText, formatAddress, SallyportError } from '../../src/command.ts';
import { createNodeResolver, openRouteLook, parseAddress } from '../../src/look.ts';
import { readResolverFacts, readRouteFacts } from './explain-host.ts';
import { decideName } from './explain-name.ts';
import { type Destination, explainRoute } from './explain-route.ts';
import { type Explanation, explanationJson, explanationLines } from './explain-words.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { CommandIo } from './io.ts';

const ANSWER_LIMIT_MS = 10_000;
const MAX_ADDRESSES = 4;

export async function explain(word: string, json: boolean, io: CommandIo): Promise<number> {
  const query = checked(word);
  const explanation = await find(query, io);
  if (json) io.write(`${JSON.stringify(explanationJson(explanation), undefined, 2)}\n`);
  else for (const line of explanationLines(explanation)) io.write(`${cleanTerminalText(line)}\n`);
  return explanation.destinations.length > 0 ? ExitCode.ok : ExitCode.unknown;
}

/** An address in its usual form, or a name. */
function checked(word: string): string {
  const address = parseAddress(word.replace(/^\[(.*)\]$/, '$1'));
  if (address !== undefined) return formatAddress(address);
  const labels = word.replace(/\.$/, '').split('.');
  const isName =
    word.length <= 253 && labels.every((label) => /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label));
  if (isName && !/^[0-9.]+$/.test(word)) return word;
  throw new CommandFailure(
    ExitCode.usage,
    `'${word.slice(0, 80)}' is neither an address nor a host name`,
    'Write it as 10.0.0.1, 2001:db8::1 or www.example.com, without a port or a path.',
  );
}

async function find(query: string, io: CommandIo): Promise<Explanation> {
  const look = openRouteLook();
  try {
    const facts = await readRouteFacts(look, io);
    const way = (address: string): Destination => explainRoute(address, look.route(address), facts);
    if (parseAddress(query) !== undefined) {
      return { query, name: undefined, problem: undefined, destinations: [way(query)] };
    }
    const decision = decideName(query, await readResolverFacts(io.uid));
    const { addresses, problem } = await addressesOf(query);
    const servers = decision.kind === 'servers' ? decision.servers : [];
    const serverRoutes = servers.flatMap(({ address }) => {
      const [bare = ''] = address.split('#');
      return parseAddress(bare) === undefined ? [] : [way(bare)];
    });
    return { query, name: { ...decision, serverRoutes }, problem, destinations: addresses.map(way) };
  } finally {
    look.close();
  }
}

async function addressesOf(
  name: string,
): Promise<{ readonly addresses: readonly string[]; readonly problem: string | undefined }> {
  const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
  try {
    const found = await createNodeResolver().resolve(name, undefined, signal);
    return {
      addresses: found.slice(0, MAX_ADDRESSES).map(({ address }) => formatAddress(address)),
      problem: undefined,
    };
  } catch (error) {
    if (signal.aborted) return { addresses: [], problem: `nobody answered within ${ANSWER_LIMIT_MS / 1000} s` };
    if (!(error instanceof SallyportError)) throw error;
    return { addresses: [], problem: error.message };
  }
}
