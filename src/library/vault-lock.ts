/** The lock of a vault, held while something is done that changes its copies or its key. */
import { acquireLockPatiently } from '../vault/lock/lock-wait.ts';
import type { LockTask, ObservedHolder } from '../vault/lock/lock-holder.ts';
import { vaultFiles } from '../vault/files/vault-files.ts';
import type { Caller } from './caller.ts';

/** What is done with the lock, and how long it is waited for. */
export interface LockedWork {
  readonly vaultDir: string;
  readonly task: LockTask;
  /**
   * Seconds; true: as long as it takes; false: not at all. Absent: only for a push to another
   * destination, as long as it takes.
   */
  readonly wait?: number | boolean | undefined;
  /** Told once of every holder that is waited for. */
  readonly onWait?: (holder: ObservedHolder) => void;
}

/**
 * Does `work` with the lock of a vault, which is given back afterwards.
 *
 * @param work - gets a signal that aborts, too, when the lock is lost
 * @throws as `acquireLockPatiently`; what `work` throws; {LockedError} `lock-lost`
 */
export async function holdVaultLock<T>(
  { signal }: Pick<Caller, 'signal'>,
  { vaultDir, task, wait, onWait }: LockedWork,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const lock = await acquireLockPatiently(vaultFiles(vaultDir).lock, {
    task,
    signal,
    waitMs: (holder) => {
      if (typeof wait === 'number') return wait * 1000;
      return wait === true || (wait !== false && isSideBySide(task, holder)) ? Infinity : 0;
    },
    onWait: (holder) => onWait?.(holder),
  });
  try {
    const result = await work(AbortSignal.any([signal, lock.lost]));
    lock.lost.throwIfAborted();
    return result;
  } catch (error) {
    if (!signal.aborted) lock.lost.throwIfAborted();
    throw error;
  } finally {
    lock.release();
  }
}

/** Two pushes to different places are one after the other, and nobody has to arrange that. */
function isSideBySide(task: LockTask, { task: other }: ObservedHolder): boolean {
  const arePushes = task.command === 'push' && other?.command === 'push';
  return arePushes && task.destination !== other.destination;
}
