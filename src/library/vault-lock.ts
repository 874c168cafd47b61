/** Holds the lock of a vault while its copies or its key are changed. */
import { acquireLockPatiently } from '../vault/lock/lock-wait.ts';
import type { LockTask, ObservedHolder } from '../vault/lock/lock-holder.ts';
import { vaultFiles } from '../vault/files/vault-files.ts';
import type { Caller } from './caller.ts';

/** The task that needs the lock, and how long to wait for it. */
export interface LockedWork {
  readonly vaultDir: string;
  readonly task: LockTask;
  /**
   * Seconds; true: without limit; false: not at all. Absent: without limit for a push to another
   * destination, otherwise not at all.
   */
  readonly wait?: number | boolean | undefined;
  /** Called once for every holder that is waited for. */
  readonly onWait?: (holder: ObservedHolder) => void;
}

/**
 * Calls `work` while holding the lock of a vault.
 *
 * @param work - receives a signal that also aborts when the lock is lost
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

/**
 * Whether both tasks are pushes to different destinations, which run one after the other without
 * being arranged.
 */
function isSideBySide(task: LockTask, { task: other }: ObservedHolder): boolean {
  const arePushes = task.command === 'push' && other?.command === 'push';
  return arePushes && task.destination !== other.destination;
}
