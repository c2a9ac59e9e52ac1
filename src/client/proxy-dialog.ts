// The conversation with a proxy, without sockets: what to do next, what to send, what came. client/http-dialog and
// client/socks-dialog hold it; client/proxy-stream carries it out.

import type { SallyportError } from '../error.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { Credentials } from '../session/options.ts';

export type ProxyStep =
  /** User name and password are needed; `handleLogin` takes them. */
  | { readonly type: 'login' }
  /** A new connection to the proxy is needed; `handleOpen` says that it is there. */
  | { readonly type: 'connect' }
  /** The proxy has the word. */
  | { readonly type: 'receive' }
  /** The way is open. */
  | {
      readonly type: 'open';
      /** What has come from behind the proxy already. */
      readonly readAhead: Uint8Array;
      /** Where datagrams go, for a relay of datagrams; its address may be the unspecified one: then the proxy's own counts. */
      readonly relay: SocketAddress | undefined;
    }
  /** The attempt is over. `loginRefused`: the user name and the password are to blame. */
  | { readonly type: 'failed'; readonly error: SallyportError; readonly loginRefused: boolean };

export interface ProxyDialog {
  readonly step: ProxyStep;
  /** The text of the restart that follows a failure. */
  readonly signalText: 'HTTP proxy error' | 'socks-error';
  handleLogin(credentials: Credentials): void;
  handleOpen(): void;
  /** The bytes are read before the call returns. */
  handleBytes(bytes: Uint8Array): void;
  /** The proxy ended the connection, or said nothing for too long. */
  handleSilence(reason: 'closed' | 'timeout'): void;
  /** What goes to the proxy now, if anything. */
  pollSend(): Uint8Array | undefined;
}
