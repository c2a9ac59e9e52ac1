// What `up` shows of a tunnel on its way: one line that changes on a terminal, lines of JSON where they are asked for, and
// nothing in a pipe but the end.

import { cleanTerminalText } from '../../src/command.ts';
import type { CommandIo } from './io.ts';
import { ipv6Line, sentenceOf, type TunnelStatus } from './status-model.ts';

export interface Progress {
  clear(): void;
  /** A line of its own. */
  tell(text: string): void;
  show(status: TunnelStatus): void;
}

/** `json`: every state as a line of it. */
export function progressOf(json: boolean, io: CommandIo): Progress {
  let shown = '';
  const live = io.terminal.error && !json;
  const clear = (): void => {
    if (live && shown !== '') io.complain('\r\x1b[K');
    shown = '';
  };
  return {
    clear,
    tell(text: string): void {
      clear();
      if (!json) io.complain(`${cleanTerminalText(text)}\n`);
    },
    show(status: TunnelStatus): void {
      if (json) {
        io.write(`${JSON.stringify(status)}\n`);
        return;
      }
      const sentence = cleanTerminalText(sentenceOf(status, io.nowUnix()));
      clear();
      if (status.state === 'connected') {
        io.write(`${sentence}\n`);
        const line = ipv6Line(status);
        if (line !== undefined) io.write(`${line}\n`);
      } else if (live) {
        shown = sentence;
        io.complain(sentence);
      }
    },
  };
}
