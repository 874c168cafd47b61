/** Holds the lock of a vault for commands that change its copies or its key. */
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
  /** Seconds; true: without limit; false for `--no-wait`. */
  readonly wait?: number | boolean;
}

/** Adds `--wait [TIME]` to a command. */
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

/** The command that holds the lock. */
interface LockedCommand {
  readonly vaultDir: string;
  readonly task: LockTask;
  readonly options: WaitOptions;
}

/**
 * Calls `work` while holding the lock of a vault. A push waits for a push to another remote by
 * default, and for anything else only with `--wait`.
 *
 * @param work - receives a host whose signal also aborts when the lock is lost
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
    onWait: (holder: ObservedHolder) => reportWaiting(host, holder),
  };
  return holdVaultLock(host, locked, (signal) => work({ ...host, signal }));
}

/** Reports who holds the lock. */
export function reportWaiting({ out }: Host, holder: ObservedHolder): void {
  out.note(shownText(waitingText(holder)));
}

function waitingText({ pid, host, task, isElsewhere, leaseSec }: ObservedHolder): string {
  const what = task === undefined ? '' : ` (${shownTask(task)})`;
  const who = `process ${pid} on ${host}${what}`;
  return isElsewhere && leaseSec > 0
    ? `${who} holds the lock and cannot be seen from here: looking for up to ${leaseSec} s whether it lives`
    : `waiting for ${who}`;
}
