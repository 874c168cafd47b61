// Waits until files that were just written count as settled.
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A push doubts files that were written less than 100 ms before it looked at them, and compares them once more.
 * A program of its own takes longer than that to start.
 */
const DOUBTED_MS = 110;

/** To be awaited between writing files and a push in this process. */
export function untilSettled(): Promise<void> {
  return sleep(DOUBTED_MS);
}
