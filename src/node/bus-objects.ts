// What we export on a bus: which object, interface and method a call is for, the standard interfaces beside them, and
// the answer. No connection here: a call in, the values of the answer out, or a BusError.

import { BusError, BusErrorName, type BusInterface } from '../tunnel/bus-port.ts';

const PROPERTIES = 'org.freedesktop.DBus.Properties';
const PEER = 'org.freedesktop.DBus.Peer';
const INTROSPECTABLE = 'org.freedesktop.DBus.Introspectable';

export interface IncomingCall {
  readonly path: string;
  /** A caller may leave it out. */
  readonly interface: string | undefined;
  readonly member: string;
  readonly signature: string;
  readonly body: readonly unknown[];
  readonly sender: string;
}

export interface Answer {
  readonly signature: string;
  readonly body: readonly unknown[];
}

export type Exports = Map<string, Map<string, BusInterface>>;

/** The answer to a call. `variant` makes what stands for a `v`. Throws BusError; a handler's other errors pass through. */
export async function answerCall(
  exports: Exports,
  call: IncomingCall,
  variant: (signature: string, value: unknown) => unknown,
): Promise<Answer> {
  if (call.interface === PEER && call.member === 'Ping') return { signature: '', body: [] };
  const object = exports.get(call.path);
  if (call.interface === INTROSPECTABLE && call.member === 'Introspect') {
    return { signature: 's', body: [introspection(exports, call.path)] };
  }
  if (object === undefined) throw refused('UnknownObject', `There is no object ${call.path}.`);
  if (call.interface === PROPERTIES) return properties(object, call, variant);
  const candidates = call.interface === undefined ? [...object.values()] : [object.get(call.interface)];
  if (call.interface !== undefined && candidates[0] === undefined) {
    throw refused('UnknownInterface', `${call.path} has no interface ${call.interface}.`);
  }
  const method = candidates
    .filter((description) => description !== undefined && Object.hasOwn(description.methods, call.member))
    .map((description) => description?.methods[call.member])[0];
  if (method === undefined) throw refused('UnknownMethod', `${call.path} has no method ${call.member}.`);
  expectSignature(call, method.in);
  return { signature: method.out, body: await method.handler(call.body, call.sender) };
}

function properties(
  object: Map<string, BusInterface>,
  call: IncomingCall,
  variant: (signature: string, value: unknown) => unknown,
): Answer {
  const wanted = { Get: 'ss', GetAll: 's', Set: 'ssv' }[call.member];
  if (wanted === undefined) throw refused('UnknownMethod', `${PROPERTIES} has no method ${call.member}.`);
  expectSignature(call, wanted);
  const [interfaceName, name] = call.body as readonly [string, string];
  const description = object.get(interfaceName);
  if (description === undefined) throw refused('UnknownInterface', `${call.path} has no interface ${interfaceName}.`);
  if (call.member === 'GetAll') {
    const all = Object.entries(description.properties).map(([key, { signature, read }]) => [
      key,
      variant(signature, read()),
    ]);
    return { signature: 'a{sv}', body: [Object.fromEntries(all)] };
  }
  if (!Object.hasOwn(description.properties, name)) {
    throw refused('UnknownProperty', `${interfaceName} has no property ${name}.`);
  }
  const property = description.properties[name];
  if (property === undefined || call.member === 'Set') {
    throw refused('PropertyReadOnly', `The property ${name} of ${interfaceName} can only be read.`);
  }
  return { signature: 'v', body: [variant(property.signature, property.read())] };
}

function expectSignature(call: IncomingCall, wanted: string): void {
  if (call.signature === wanted) return;
  throw new BusError(
    BusErrorName.invalidArgs,
    `${call.member} takes arguments of the types "${wanted}", and was given "${call.signature}".`,
  );
}

const refused = (kind: string, message: string): BusError =>
  new BusError(`org.freedesktop.DBus.Error.${kind}`, message);

/** What introspecting tools read. Names and signatures are our own, and hold nothing that XML would mind. */
function introspection(exports: Exports, path: string): string {
  const below = `${path === '/' ? '' : path}/`;
  const children = new Set(
    [...exports.keys()]
      .filter((other) => other.startsWith(below))
      .map((other) => other.slice(below.length).split('/')[0]),
  );
  children.delete('');
  const lines = [...(exports.get(path) ?? new Map<string, BusInterface>())].flatMap(([name, description]) => [
    `<interface name="${name}">`,
    ...Object.entries(description.methods).map(
      ([member, method]) =>
        `<method name="${member}">${argumentTags(method.in, ' direction="in"')}${argumentTags(method.out, ' direction="out"')}</method>`,
    ),
    ...Object.entries(description.signals).map(
      ([member, signature]) => `<signal name="${member}">${argumentTags(signature, '')}</signal>`,
    ),
    ...Object.entries(description.properties).map(
      ([member, { signature }]) => `<property name="${member}" type="${signature}" access="read"/>`,
    ),
    '</interface>',
  ]);
  return ['<node>', ...lines, ...[...children].map((child) => `<node name="${child}"/>`), '</node>'].join('\n');
}

const argumentTags = (signature: string, direction: string): string =>
  completeTypes(signature)
    .map((type) => `<arg type="${type}"${direction}/>`)
    .join('');

/** A signature's complete types: `sa{sv}as` is `s`, `a{sv}` and `as`. */
export function completeTypes(signature: string): string[] {
  const types: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < signature.length; at += 1) {
    const letter = signature[at];
    if (letter === '(' || letter === '{') depth += 1;
    if (letter === ')' || letter === '}') depth -= 1;
    if (depth > 0 || letter === 'a') continue;
    types.push(signature.slice(from, at + 1));
    from = at + 1;
  }
  return types;
}
