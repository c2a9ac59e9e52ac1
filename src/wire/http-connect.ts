// The request for a way through an HTTP proxy (RFC 9110, section 9.3.6), with the header lines that the C program sends:
//   CONNECT host:port HTTP/1.0 | own headers … | Host: host | User-Agent: agent | Proxy-Authorization: … | empty line

export interface HttpConnect {
  readonly host: string;
  readonly port: string;
  /** `1.0` unless the profile says otherwise. */
  readonly version: string;
  readonly agent: string | undefined;
  /** Without `content` the whole line is in `name`. */
  readonly headers: readonly { readonly name: string; readonly content: string | undefined }[];
  /** What `Proxy-Authorization` says, if anything. */
  readonly authorization: string | undefined;
}

/** A line that a profile makes must stay one. */
const CONTROLS = /[\x00-\x1f\x7f]/g;

/** `host:port`, an IPv6 address in brackets. */
export const authorityOf = (host: string, port: string): string => `${bracketed(host)}:${port}`;

/** The lines of a request but for its credentials, without line ends: what may be logged. */
export function connectLines({ host, port, version, agent, headers }: HttpConnect): readonly string[] {
  const own = headers.map(({ name, content }) => (content === undefined ? name : `${name}: ${content}`));
  const named = own.some((line) => /^host\s*:/i.test(line));
  return [
    `CONNECT ${authorityOf(host, port)} HTTP/${version}`,
    ...own,
    ...(named ? [] : [`Host: ${bracketed(host)}`]),
    ...(agent === undefined ? [] : [`User-Agent: ${agent}`]),
  ].map((line) => line.replace(CONTROLS, ''));
}

/** The whole request. */
export function writeConnect(request: HttpConnect): Uint8Array {
  const { authorization } = request;
  const lines = [
    ...connectLines(request),
    ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
  ];
  return new TextEncoder().encode(
    lines
      .map((line) => `${line}\r\n`)
      .join('')
      .concat('\r\n'),
  );
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);
