import type { Command } from 'commander';
import { LockedError } from '../../errors.ts';
import { acquireLock, lockHolder, removeLock, type LockHolder } from '../../vault/lock.ts';
import { findVaultDir } from '../../vault/vault.ts';
import { vaultFiles } from '../../vault/vault-files.ts';
import type { Host } from '../host.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { placeOf } from '../place.ts';
import { DONE, type CommandResult } from '../report.ts';
import type { Selected } from '../selected.ts';
import { shownText } from '../terminal.ts';

interface UnlockOptions extends CommonOptions {
  readonly force?: boolean;
}

const AFTER_HELP = `
A lock whose process is gone needs no unlocking: the next run takes it over. This is for a lock of
another machine, whose processes cannot be seen from here, and for one that cannot be read. A process
that still runs here keeps its lock.`;

/** Defines `unlock`. */
export function defineUnlock(program: Command, select: Selected): void {
  const command = program
    .command('unlock')
    .summary('remove a lock that was left behind')
    .description(
      'Show who holds the lock of the vault, and remove it when that is nobody any more.',
    )
    .option('--force', 'remove it also when it is of another machine');
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action(() => {
      const options: UnlockOptions = command.optsWithGlobals();
      select('unlock', options, (host) => unlock(host, options));
    });
}

/** @throws {LockedError} `locked`; {FileError} `lock-failed`; {VaultError} `no-vault` */
function unlock(host: Host, options: UnlockOptions): CommandResult {
  const file = vaultFiles(findVaultDir(placeOf(host, options))).lock;
  const { out } = host;
  const holder = lockHolder(file);
  if (holder === undefined) {
    if (!out.mode.json) out.note('There is no lock.');
    return DONE;
  }
  const { pid, host: machine, since, isGone, isElsewhere } = holder;
  const shownHolder = shownText(`process ${pid} on ${machine} since ${since}`);
  const mayBeForced = isElsewhere && options.force === true;
  if (!isGone && !mayBeForced) throw stillHeld(holder, shownHolder);
  if (isGone) acquireLock(file).release();
  else removeLock(file);
  if (out.mode.json) out.event({ type: 'unlocked', pid, host: machine, since, gone: isGone });
  else out.note(`Removed the lock of ${shownHolder}${isGone ? ', which is gone' : ''}.`);
  return DONE;
}

function stillHeld({ isElsewhere }: LockHolder, shownHolder: string): LockedError {
  return new LockedError('locked', `the lock is held: ${shownHolder}`, {
    hint: isElsewhere
      ? 'Only that machine knows whether it still runs. If it certainly does not: ecsync unlock --force'
      : 'It still runs. Wait, or end it.',
  });
}
