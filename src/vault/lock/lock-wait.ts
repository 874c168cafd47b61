/** Waiting for a lock: until its holder is done, or until nothing was heard of one that cannot be seen. */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { InterruptedError, LockedError } from '../../errors.ts';
import type { SeenHolder } from './lock-holder.ts';
import { acquireLock, lockHolder, type Lock, type LockOptions } from './lock.ts';

/** How long somebody is ready to wait. */
export interface LockPatience extends LockOptions {
  /** Milliseconds for a holder that runs; Infinity: as long as it takes. Asked when one is met. */
  readonly waitMs: (holder: SeenHolder) => number;
  readonly signal: AbortSignal;
  /** Told once of every holder that is waited for. */
  readonly onWait: (holder: SeenHolder) => void;
}

const POLL_MS = 500;

/**
 * Takes a lock as `acquireLock` does, or waits for it. A holder whose process cannot be seen from here
 * is watched until its lease is renewed or has run out, whatever the clocks of the two machines say.
 *
 * @throws as `acquireLock`; {LockedError} `locked` — the time is over
 * @throws {InterruptedError} `interrupted`
 */
export async function acquireLockPatiently(file: string, patience: LockPatience): Promise<Lock> {
  const watch = new LeaseWatch();
  const told = new Set<string>();
  const startedMs = performance.now();
  let lapsed: string | undefined;
  for (;;) {
    try {
      return acquireLock(file, { ...patience, ...(lapsed !== undefined && { lapsed }) });
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      const holder = lockHolder(file);
      if (holder === undefined) continue;
      const finding = watch.look(holder);
      if (finding === 'lapsed') lapsed = holder.id;
      const leftMs = patience.waitMs(holder) - (performance.now() - startedMs);
      if (finding === 'alive' && leftMs <= 0) throw error;
      if (finding !== 'lapsed' && !told.has(holder.id)) patience.onWait(holder);
      told.add(holder.id);
      if (finding === 'lapsed') continue;
      await pause(finding === 'alive' ? Math.min(POLL_MS, leftMs) : POLL_MS, patience.signal);
    }
  }
}

async function pause(timeMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(timeMs, undefined, { signal });
  } catch (cause) {
    throw new InterruptedError('interrupted', 'interrupted', { cause });
  }
}

/** What is heard of the holders of a lock that cannot be seen. */
class LeaseWatch {
  #id = '';
  #renewedMs = 0;
  #heardMs = 0;
  #isAlive = false;

  look({ id, leaseSec, renewedMs, isElsewhere }: SeenHolder): 'alive' | 'unknown' | 'lapsed' {
    if (!isElsewhere || leaseSec === 0) return 'alive';
    const isSame = id === this.#id;
    if (!isSame || renewedMs !== this.#renewedMs) {
      this.#isAlive = isSame;
      this.#id = id;
      this.#renewedMs = renewedMs;
      this.#heardMs = performance.now();
    }
    if (performance.now() - this.#heardMs > leaseSec * 1000) return 'lapsed';
    return this.#isAlive ? 'alive' : 'unknown';
  }
}
