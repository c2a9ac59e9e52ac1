// The two clocks of a session, read once for each input.

/** Monotonic milliseconds that go on through suspend, and Unix seconds; never mixed. */
export interface Instants {
  readonly monoMs: number;
  readonly unixSeconds: number;
}
