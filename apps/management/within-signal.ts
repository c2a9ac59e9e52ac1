// A wait that a signal ends. Pure. Signals here live as long as a client or the program does, so nothing is left on them.

/** Resolves by what `begin` is given; rejects when the signal fires first, or when `begin` throws. */
export async function withinSignal<T>(signal: AbortSignal, begin: (resolve: (value: T) => void) => void): Promise<T> {
  signal.throwIfAborted();
  let onAbort = (): void => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      begin(resolve);
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
