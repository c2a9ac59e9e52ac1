// The only globals beyond the language itself that a pure room may use. tsconfig.pure.json compiles the pure rooms
// against this file and no platform types, so that nothing of Node slips in.

declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array): string;
}

/** Of the language's platforms all: a wait that can be given up. Only what pure rooms ask of it. */
interface AbortSignal {
  readonly aborted: boolean;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
