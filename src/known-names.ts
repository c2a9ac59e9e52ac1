// Names in the objects that a program hands in. The compiler refuses a wrong one in TypeScript; a program in JavaScript
// would have it silently ignored, and a misspelt hook is a check that never happens.

import { SallyportError } from './error.ts';

/** Every name of an interface; `function` where only a function (or nothing) can stand. */
export type KnownNames<T> = Readonly<Record<keyof T, 'value' | 'function'>>;

/**
 * Throws SallyportError for a name that is not known, and for a hook that is no function. `noun`: what a name stands for
 * (`setting`); `place`: where it stood (`listen`). An object of a class of the program's own may have more names.
 */
export function checkNames(given: object, known: Readonly<Record<string, string>>, noun: string, place: string): void {
  if (typeof given !== 'object' || given === null)
    throw refusal(`${place}: this has to be an object, and is ${kindOf(given)}`);
  for (const name of isPlain(given) ? Object.keys(given) : []) {
    if (Object.hasOwn(known, name)) continue;
    throw refusal(`There is no ${noun} "${name}" of ${place}; there are ${Object.keys(known).join(', ')}`);
  }
  for (const [name, kind] of Object.entries(known)) {
    const value: unknown = Reflect.get(given, name);
    if (kind !== 'function' || value === undefined || typeof value === 'function') continue;
    throw refusal(`${name} of ${place} is ${kindOf(value)}; it has to be a function`);
  }
}

/** Whether it is `{ … }`, of whichever realm. */
function isPlain(given: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(given);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Never the value itself: it may be a secret in the wrong place. */
export const kindOf = (value: unknown): string => (value === null ? 'null' : `of type ${typeof value}`);

const refusal = (message: string): SallyportError =>
  new SallyportError(message, { code: 'SALLYPORT_CONFIG', blame: 'config' });
