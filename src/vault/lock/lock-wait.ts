/**
 * Waits for a lock until its holder has released it, or until an invisible holder has fallen
 * silent.
 */
import { performance } from 'node:perf_hooks';
import { LockedError } from '../../errors.ts';
import { pause } from '../../interruption.ts';
import type { ObservedHolder } from './lock-holder.ts';
import { acquireLock, lockHolder, type Lock, type LockOptions } from './lock.ts';

/** How long a caller waits. */
export interface LockPatience extends LockOptions {
  /**
   * Milliseconds to wait for a running holder; Infinity: without limit. Called when one is found.
   */
  readonly waitMs: (holder: ObservedHolder) => number;
  readonly signal: AbortSignal;
  /** Called once for each holder that is waited for. */
  readonly onWait: (holder: ObservedHolder) => void;
}

const POLL_MS = 500;

/**
 * Takes a lock as `acquireLock` does, or waits for it. A holder whose process is invisible from
 * here is watched until its lease is renewed or has expired, independent of the clocks of the two
 * machines.
 *
 * @throws as `acquireLock`; {LockedError} `locked` — the time has passed
 * @throws {InterruptedError} `interrupted`
 */
export async function acquireLockPatiently(file: string, patience: LockPatience): Promise<Lock> {
  const watch = new LeaseWatch();
  const announced = new Set<string>();
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
      if (finding !== 'lapsed' && !announced.has(holder.id)) patience.onWait(holder);
      announced.add(holder.id);
      if (finding === 'lapsed') continue;
      await pause(finding === 'alive' ? Math.min(POLL_MS, leftMs) : POLL_MS, patience.signal);
    }
  }
}

/** Watches the renewals of invisible holders of a lock. */
class LeaseWatch {
  #id = '';
  #renewedMs = 0;
  #renewalSeenMs = 0;
  #isAlive = false;

  look({ id, leaseSec, renewedMs, isElsewhere }: ObservedHolder): 'alive' | 'unknown' | 'lapsed' {
    if (!isElsewhere || leaseSec === 0) return 'alive';
    const isSame = id === this.#id;
    if (!isSame || renewedMs !== this.#renewedMs) {
      this.#isAlive = isSame;
      this.#id = id;
      this.#renewedMs = renewedMs;
      this.#renewalSeenMs = performance.now();
    }
    if (performance.now() - this.#renewalSeenMs > leaseSec * 1000) return 'lapsed';
    return this.#isAlive ? 'alive' : 'unknown';
  }
}
