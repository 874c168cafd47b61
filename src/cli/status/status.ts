/** The command `status`: shows when each remote was last pushed and verified. */
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { showAllVaults } from './all-vaults.ts';
import type { Host } from '../frame/host.ts';
import { addCommonOptions, type CommonOptions } from '../frame/options.ts';
import { readVaultFrameOf } from '../frame/place.ts';
import type { CommandResult } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { concludeStatus, writeMetrics } from './status-result.ts';
import { readStatuses, showVaultStatus } from './vault-status.ts';

interface StatusOptions extends CommonOptions {
  readonly maxAge?: string;
  readonly metrics?: string;
  readonly allVaults?: boolean;
  readonly forgetGone?: boolean;
}

const AFTER_HELP = `
No password is needed and no remote is asked. Exit code 4: the last push, verify or fsck of a remote
failed, its last good push is dated in the future, or, with --max-age, is older than that. What was skipped or interrupted, or
was limited to some paths, does not count.

--all-vaults shows every vault that this user has made here or pushed from, by the list in
~/.local/state/ecsync/vaults.json (XDG_STATE_HOME; Windows: %LOCALAPPDATA%). A vault that is gone is
named and ends in exit code 4, too; --forget-gone takes such vaults off the list. One that another user
could have written is not read (exit code 10).`;

/** Defines `status`. */
export function defineStatus(program: Command, select: Selected): void {
  const command = program
    .command('status')
    .summary('when each remote was last pushed and verified')
    .description('Show when each remote was last pushed and verified, and who is at work.')
    .option('--max-age <age>', 'a good push must not be older: 26h, 2d (or max_age in [status])')
    .option('--metrics <file>', 'write the same to FILE, for Prometheus');
  command
    .option('--all-vaults', 'of all vaults of this user on this machine')
    .option('--forget-gone', 'with --all-vaults: forget the vaults that are not there any more');
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action(() => {
      const options: StatusOptions = command.optsWithGlobals();
      select('status', options, (host) =>
        options.allVaults === true ? showAllVaults(host, options) : showStatus(host, options),
      );
    });
}

/** @throws {UsageError} `duration-invalid`, `conflicting-options`; {VaultError} as `readVaultFrame` */
async function showStatus(host: Host, options: StatusOptions): Promise<CommandResult> {
  if (options.forgetGone === true) {
    throw new UsageError('conflicting-options', '--forget-gone goes with --all-vaults only', {
      hint: 'Add --all-vaults.',
    });
  }
  const frame = readVaultFrameOf(host, options);
  const statuses = readStatuses(host, frame, options.maxAge);
  if (options.metrics !== undefined) writeMetrics(host, options.metrics, statuses);
  await showVaultStatus(host, frame, statuses);
  return concludeStatus(statuses, { vaultDir: frame.vaultDir }, ({ name }) => name);
}
