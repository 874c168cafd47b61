/** The command `verify`: compares a copy with its vault, and repairs it on request. */
import type { Command } from 'commander';
import { ExitCode } from '../../errors.ts';
import type { PushSettings } from '../../sync/push/source/push-settings.ts';
import { NOT_ENCRYPTED } from '../../sync/run-settings.ts';
import type { VerifyFinding } from '../../sync/check/verify-summary.ts';
import type { VerifySummary } from '../../sync/check/verify-summary.ts';
import type { StoredVault } from '../../vault/vault.ts';
import { counted } from '../copies/fsck-output.ts';
import { shownBytes } from '../../library/figures.ts';
import type { Host } from '../frame/host.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import { verifyRecorded, verifySettings } from '../../library/changing-run.ts';
import { patienceOf, patiently, VERIFY_CUT_OFF } from '../../library/retry.ts';
import type { ObservedHolder } from '../../vault/lock/lock-holder.ts';
import { callerOf } from '../frame/caller.ts';
import type { Selected } from '../frame/selected.ts';
import { addWaitOption, reportWaiting, type WaitOptions } from '../frame/vault-lock.ts';
import { differenceEvent, differenceText } from './verify-output.ts';
import { onPushArguments, readPush, withKey, type PushRequest } from '../push/push.ts';
import { addPushOptions, hideOptions, type PushOptions } from '../settings/push-options.ts';

interface VerifyCommandOptions extends PushOptions, WaitOptions {
  readonly repair?: boolean;
}

const AFTER_HELP = `
Every file is read and encrypted here, the server reads what it has, and the two are compared by
checksum. Nothing is downloaded and nothing is changed. That is the server's word: to see for yourself,
read the copy with \`ecsync fsck\`. Give the options that you push with (-H, -X,
--no-owner, filters …): what they leave out is not compared.

Every difference is one line on standard output: changed, missing, extra or attributes, and the path
in plaintext. "not pushed yet" is what was changed, made or deleted here since the last push; that, and
what only the copy has where no deletions are in force (--delete), is no failure. Exit code 26: the
copy is not what was pushed.

In a copy that was adopted, files that gocryptfs wrote through a mount count as changed until they
are sent once: their encryption cannot be repeated here. Whether they are whole is for \`ecsync fsck\`.

With --repair what is changed or missing is pushed again and then verified; what is extra is deleted
with --repair --delete only.`;

/** Defines `verify [REMOTE] [PATH…]`. */
export function defineVerify(program: Command, select: Selected): void {
  const command = program
    .command('verify')
    .summary('compare a remote with the vault, content included')
    .description('Does a remote hold exactly what the vault says? The server hashes its files.')
    .option('--repair', 'push what differs, and verify that');
  addWaitOption(command);
  const filters = addPushOptions(command);
  hideOptions(command, ['--dry-run', '--checksum', '--stats', '--itemize-changes']);
  hideOptions(command, [
    '--into-non-empty',
    '--new-copy',
    '--append-only',
    '--max-changed',
    '--max-bytes',
    '--top',
  ]);
  command.addHelpText('after', AFTER_HELP);
  onPushArguments(command, filters, (request: PushRequest<VerifyCommandOptions>) =>
    select('verify', request.options, (host, warnings) => runVerify(host, warnings, request)),
  );
}

async function runVerify(
  host: Host,
  warnings: Warnings,
  request: PushRequest<VerifyCommandOptions>,
): Promise<CommandResult> {
  const read = await readPush(host, request);
  const { vault, options } = read;
  const settings = verifySettings(read.settings, options.repair === true);
  const job = { vault, settings, options };
  const run = {
    ...{ vault, settings, wait: options.wait },
    hasOwnRules: request.filters.length > 0,
    onWait: (holder: ObservedHolder) => reportWaiting(host, holder),
    repairs: options.repair === true,
  };
  return verifyRecorded(callerOf(host, warnings), run, (signal) =>
    compare({ ...host, signal }, warnings, job),
  );
}

async function compare(
  host: Host,
  warnings: Warnings,
  job: {
    readonly vault: StoredVault;
    readonly settings: PushSettings;
    readonly options: VerifyCommandOptions;
  },
): Promise<CommandResult> {
  const { vault, settings, options } = job;
  const { destination } = settings;
  const about = { vault, options, destination };
  return withKey(host, warnings, about, async (opened, around) => {
    const { verify } = await import('../../sync/check/verify.ts');
    const patience = { ...patienceOf(options), hint: VERIFY_CUT_OFF };
    const summary = await patiently(callerOf(host, warnings), patience, (signal) =>
      verify(
        settings,
        opened,
        { ...around, signal },
        {
          repair: options.repair === true && options.dryRun !== true,
          onFinding: (finding, repaired) => tell(host, finding, repaired),
        },
      ),
    );
    return conclude(host, summary, {
      shown: destination.shown,
      isContinued: opened !== NOT_ENCRYPTED && opened.inherited !== undefined,
    });
  });
}

function tell({ out }: Host, finding: VerifyFinding, repaired: boolean): void {
  if (out.mode.json) out.event(differenceEvent(finding, repaired));
  else out.data(differenceText(finding, repaired));
}

function conclude(
  host: Host,
  summary: VerifySummary,
  { shown, isContinued }: { readonly shown: string; readonly isContinued: boolean },
): CommandResult {
  const { out } = host;
  const { exitCode, ...figures } = summary;
  const { filesTotal, totalBytes, changed, missing, extra, attributes, repaired } = summary;
  out.clearStatus();
  const compared = `${counted(filesTotal, 'object')}, ${shownBytes(totalBytes)}`;
  const found = changed + missing + extra + attributes;
  if (exitCode === ExitCode.ok) {
    const fixed = repaired > 0 ? `; ${counted(repaired, 'difference')} repaired` : '';
    const text = `verified ${shown}: ${compared}${fixed}`;
    const rest = restText(summary);
    if (repaired > 0 || rest !== '') out.note(`${text}${rest}`);
    else out.success(text);
    return { exitCode, figures };
  }
  if (exitCode !== ExitCode.mismatch) {
    const message = `${shown}: some files here could not be compared; the others are equal`;
    return { exitCode, figures, error: { code: 'not-all-compared', message } };
  }
  const kinds = Object.entries({ changed, missing, extra, 'attributes only': attributes })
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`);
  const fixed = repaired > 0 ? `, ${repaired} of them repaired` : '';
  const message = `${shown}: ${counted(found, 'difference')} (${kinds.join(', ')})${fixed}; compared ${compared}`;
  return {
    exitCode,
    figures,
    error: { code: 'copy-differs', message, hint: hintFor(summary, isContinued) },
  };
}

/** Differences that are no damage: they wait for the next push, or are only in the copy. */
function restText({ pending, onlyThere }: VerifySummary): string {
  return [
    ...(pending > 0 ? [`; ${counted(pending, 'change')} not pushed yet`] : []),
    ...(onlyThere > 0 ? [`; ${onlyThere} only there, as nothing is deleted without --delete`] : []),
  ].join('');
}

function hintFor(summary: VerifySummary, isContinued: boolean): string {
  const { changed, missing, attributes, repaired } = summary;
  const extraOnly = changed + missing + attributes === repaired;
  if (!extraOnly && isContinued && changed > 0) {
    return 'What gocryptfs wrote through a mount before this vault adopted it counts as changed even when it is whole: `ecsync fsck` tells. --repair sends it once, and all that differs.';
  }
  if (!extraOnly && !summary.isRemembered && changed > 0) {
    return 'Nothing is remembered of earlier pushes (.ecsync/index): files that were renamed before count as changed even when they are whole; `ecsync fsck` tells. --repair sends them again, and all that differs.';
  }
  if (!extraOnly) return 'Push again what differs: add --repair.';
  return 'What only the copy has is deleted with --repair --delete.';
}
