import { libc, type NativeBytes, nativeBytes } from './libc.ts';
import { ControlWord } from './worker-messages.ts';

let shared: NativeBytes | undefined;

/** Wakes a worker out of poll(2) by its eventfd. */
export function wake(wakeFd: number): void {
  if (shared === undefined) {
    shared = nativeBytes(64);
    shared.view.setUint32(0, 1, true);
  }
  libc.write(wakeFd, shared.address, 8);
}

/** Wakes a worker if it sleeps; one that is awake, or was woken, looks by itself before it sleeps again. */
export function wakeSleeper(control: Int32Array, wakeFd: number): void {
  if (Atomics.exchange(control, ControlWord.asleep, 0) === 1) wake(wakeFd);
}
