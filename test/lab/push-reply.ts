// What a server pushed, as the client's log has it.

import type { WatchedProcess } from './process.ts';

/** The options of the latest reply in order, its parts joined; without what depends on what the server itself can do. */
export function pushedOptions(client: WatchedProcess): readonly string[] {
  const parts = client.lines.flatMap((line) => {
    const text = /PUSH: Received control message: 'PUSH_REPLY,(.*)'$/.exec(line)?.[1];
    return text === undefined ? [] : [text.split(',')];
  });
  return parts.flat().filter((option) => !/^(peer-id|protocol-flags|push-continuation)\b/.test(option));
}
