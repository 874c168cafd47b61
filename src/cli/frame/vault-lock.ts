/** The lock of a vault, as the commands that change its copies or its key hold it. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { acquireLockPatiently } from '../../vault/lock/lock-wait.ts';
import type { LockTask, SeenHolder } from '../../vault/lock/lock-holder.ts';
import { shownTask } from '../../vault/lock/lock.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import type { Host } from './host.ts';
import { parseSpan } from './push-values.ts';
import { shownText } from '../terminal/terminal.ts';

/** Options of the commands that take the lock. */
export interface WaitOptions {
  /** Seconds; true: as long as it takes; false for `--no-wait`. */
  readonly wait?: number | boolean;
}

/** Gives a command `--wait [TIME]`. */
export function addWaitOption(command: Command): Command {
  return command
    .option('--wait [time]', 'wait for another run on this vault to end, at most TIME: 10m', span)
    .option('--no-wait', 'do not even wait for a push to another remote');
}

function span(text: string): number {
  try {
    return parseSpan(text);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidArgumentError(
      `${error.message} For no limit, put --wait behind the other words.`,
    );
  }
}

/** What is done with the lock, and by whom. */
export interface LockedWork {
  readonly vaultDir: string;
  readonly task: LockTask;
  readonly options: WaitOptions;
}

/**
 * Does `work` with the lock of a vault, which is given back afterwards. A push waits for one to another
 * remote; for what else is going on only `--wait` does.
 *
 * @param work - gets a host whose signal aborts, too, when the lock is lost
 * @throws as `acquireLockPatiently`; what `work` throws; {LockedError} `lock-lost`
 */
export async function withVaultLock<T>(
  host: Host,
  { vaultDir, task, options }: LockedWork,
  work: (host: Host) => Promise<T>,
): Promise<T> {
  const { out } = host;
  const { wait } = options;
  const lock = await acquireLockPatiently(vaultFiles(vaultDir).lock, {
    task,
    signal: host.signal,
    waitMs: (holder) => {
      if (typeof wait === 'number') return wait * 1000;
      return wait === true || (wait !== false && isSideBySide(task, holder)) ? Infinity : 0;
    },
    onWait: (holder) => out.note(shownText(waitingText(holder))),
  });
  try {
    const result = await work({ ...host, signal: AbortSignal.any([host.signal, lock.lost]) });
    lock.lost.throwIfAborted();
    return result;
  } catch (error) {
    if (!host.signal.aborted) lock.lost.throwIfAborted();
    throw error;
  } finally {
    lock.release();
  }
}

/** Two pushes to different places are one after the other, and nobody has to arrange that. */
function isSideBySide(task: LockTask, { task: other }: SeenHolder): boolean {
  const arePushes = task.command === 'push' && other?.command === 'push';
  return arePushes && task.destination !== other.destination;
}

function waitingText({ pid, host, task, isElsewhere, leaseSec }: SeenHolder): string {
  const what = task === undefined ? '' : ` (${shownTask(task)})`;
  const who = `process ${pid} on ${host}${what}`;
  return isElsewhere && leaseSec > 0
    ? `${who} holds the lock and cannot be seen from here: looking for up to ${leaseSec} s whether it lives`
    : `waiting for ${who}`;
}
