/** The command `unlock`: shows who holds the lock of a vault, and removes a stale lock. */
import type { Command } from 'commander';
import { LockedError } from '../../errors.ts';
import { acquireLock, lockHolder, removeLock } from '../../vault/lock/lock.ts';
import type { ObservedHolder } from '../../vault/lock/lock-holder.ts';
import { findVaultDir } from '../../vault/vault.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import type { Host } from '../frame/host.ts';
import { addCommonOptions, type CommonOptions } from '../frame/options.ts';
import { placeOf } from '../frame/place.ts';
import { DONE, type CommandResult } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { shownText } from '../terminal/terminal.ts';

interface UnlockOptions extends CommonOptions {
  readonly force?: boolean;
}

const AFTER_HELP = `
A lock whose process is gone needs no unlocking: the next run takes it over. Neither does one of another
machine or container that has not been heard of for a minute. This is for what is left: a lock that
cannot be read, and one whose holder you know to be gone (--force). A process that still runs here
keeps its lock.`;

/** Defines `unlock`. */
export function defineUnlock(program: Command, select: Selected): void {
  const command = program
    .command('unlock')
    .summary('remove a lock that was left behind')
    .description(
      'Show who holds the lock of the vault, and remove it when that is nobody any more.',
    )
    .option('--force', 'remove it also when its process cannot be seen from here');
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action(() => {
      const options: UnlockOptions = command.optsWithGlobals();
      select('unlock', options, (host) => unlock(host, options));
    });
}

/** @throws {LockedError} `locked`; {FileError} `lock-failed`; {VaultError} `no-vault`, `lock-failed` */
function unlock(host: Host, options: UnlockOptions): CommandResult {
  const { lock, config } = vaultFiles(findVaultDir(placeOf(host, options)));
  // The second lock is held briefly while the configuration is written.
  const found = [lock, `${config}.lock`].flatMap((file) => {
    const holder = lockHolder(file);
    return holder === undefined ? [] : [{ file, holder }];
  });
  for (const one of found) removeOne(host, options, one);
  if (found.length === 0 && !host.out.mode.json) host.out.note('There is no lock.');
  return DONE;
}

function removeOne(
  { out }: Host,
  options: UnlockOptions,
  { file, holder }: { readonly file: string; readonly holder: ObservedHolder },
): void {
  const { pid, host: machine, since, isGone, isElsewhere } = holder;
  const shownHolder = shownText(`process ${pid} on ${machine} since ${since}`);
  const mayBeForced = isElsewhere && options.force === true;
  if (!isGone && !mayBeForced) throw stillHeld(holder, shownHolder);
  if (isGone) acquireLock(file).release();
  else removeLock(file);
  if (out.mode.json) out.event({ type: 'unlocked', pid, host: machine, since, gone: isGone });
  else out.note(`Removed the lock of ${shownHolder}${isGone ? ', which is gone' : ''}.`);
}

function stillHeld(
  { isElsewhere, leaseSec, renewedMs }: ObservedHolder,
  shownHolder: string,
): LockedError {
  const heardSec = Math.max(0, Math.round((Date.now() - renewedMs) / 1000));
  const lease = `It was heard of ${heardSec} s ago; after ${leaseSec} s of silence the next run takes the lock over.`;
  return new LockedError('locked', `the lock is held: ${shownHolder}`, {
    hint: isElsewhere
      ? `Only that machine or container knows whether it still runs.${leaseSec > 0 ? ` ${lease}` : ''} If it certainly does not: ecsync unlock --force`
      : 'It still runs. Wait, or end it.',
  });
}
