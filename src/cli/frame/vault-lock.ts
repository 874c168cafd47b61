/** The lock of a vault, as the commands that change its copies or its key hold it. */
import type { Command } from 'commander';
import { holdVaultLock } from '../../library/vault-lock.ts';
import type { LockTask, ObservedHolder } from '../../vault/lock/lock-holder.ts';
import { shownTask } from '../../vault/lock/lock.ts';
import type { Host } from './host.ts';
import { OptionValueError, parseSpan } from '../../options/option-values.ts';
import { typed } from './options.ts';
import { shownText } from '../terminal/terminal.ts';

/** Options of the commands that take the lock. */
export interface WaitOptions {
  /** Seconds; true: as long as it takes; false for `--no-wait`. */
  readonly wait?: number | boolean;
}

/** Gives a command `--wait [TIME]`. */
export function addWaitOption(command: Command): Command {
  return command
    .option(
      '--wait [time]',
      'wait for another run on this vault to end, at most TIME: 10m',
      typed(parseWait),
    )
    .option('--no-wait', 'do not even wait for a push to another remote');
}

function parseWait(text: string): number {
  try {
    return parseSpan(text);
  } catch (error) {
    if (!(error instanceof OptionValueError)) throw error;
    throw new OptionValueError(`${error.message} For no limit, put --wait behind the other words.`);
  }
}

/** What is done with the lock, and by whom. */
interface LockedCommand {
  readonly vaultDir: string;
  readonly task: LockTask;
  readonly options: WaitOptions;
}

/**
 * Does `work` with the lock of a vault, which is given back afterwards. A push waits for one to another
 * remote; for what else is going on only `--wait` does.
 *
 * @param work - gets a host whose signal aborts, too, when the lock is lost
 * @throws as `holdVaultLock`
 */
export function withVaultLock<T>(
  host: Host,
  { vaultDir, task, options }: LockedCommand,
  work: (host: Host) => Promise<T>,
): Promise<T> {
  const { wait } = options;
  const locked = {
    vaultDir,
    task,
    wait,
    onWait: (holder: ObservedHolder) => tellWaiting(host, holder),
  };
  return holdVaultLock(host, locked, (signal) => work({ ...host, signal }));
}

/** Says who holds the lock that is waited for. */
export function tellWaiting({ out }: Host, holder: ObservedHolder): void {
  out.note(shownText(waitingText(holder)));
}

function waitingText({ pid, host, task, isElsewhere, leaseSec }: ObservedHolder): string {
  const what = task === undefined ? '' : ` (${shownTask(task)})`;
  const who = `process ${pid} on ${host}${what}`;
  return isElsewhere && leaseSec > 0
    ? `${who} holds the lock and cannot be seen from here: looking for up to ${leaseSec} s whether it lives`
    : `waiting for ${who}`;
}
