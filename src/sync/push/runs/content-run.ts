/** The content run: lists everything and sends what differs. */
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import { keepsConf } from '../guards/copy-conf.ts';
import { assertCopyThere } from '../guards/copy-presence.ts';
import { contentRules } from '../job/deletion.ts';
import { unlessFsyncRefused } from '../job/durable-order.ts';
import type { Findings } from '../job/findings.ts';
import { isNew, isTransfer } from '../job/itemize.ts';
import { confirmOurCopy, refuseOtherCopy } from '../guards/preflight.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { accept, isTooLargeForBlockSize, type PushJob, transferOptions } from '../job/push-job.ts';
import { runRsync, type RunOutcome } from '../job/rsync-run.ts';
import { contentOptions, sparseOption, tempDirOf } from '../job/run-options.ts';
import { withAncestors } from '../source/skeleton.ts';
import { isTempDirRefusal } from './temp-dir-spelling.ts';
import { withTempDir } from '../job/staging.ts';
import {
  contentListeners,
  deletionListeners,
  type Memory,
  type Message,
  reportMessage,
} from '../job/transfer-state.ts';

/**
 * The main run. It lists everything, the server requests what differs, and then deletes content
 * that is gone from the source.
 *
 * @returns false if the server lost our temporary directory, and with it our knowledge of its state
 */
export async function sendContent(
  job: PushJob,
  memory: Memory,
  findings: Findings,
): Promise<boolean> {
  const tempDir = tempDirOf(job, memory.state);
  const books = contentListeners(job, findings);
  const { ledger } = job.context;
  const failuresBefore = ledger.failures;
  const messages: Parameters<Message>[] = [];
  // The second pass deletes what the first one must leave to keep the rest readable.
  const deletesTwice = findings.isDeleting && job.context.view.isEncrypted;
  if (deletesTwice) noteSecondPass(memory);
  const doubt = { isRaised: false };
  const run = (options: TransferOptions): Promise<RunOutcome> =>
    runRsync(job.context, {
      ...books,
      ...deletionListeners(job, findings, (...message) => messages.push(message)),
      entries: withTempDir(job.snapshot.entries, job.context.view),
      options,
      next: () => (deletesTwice && findings.needsPrune ? options : undefined),
      rules: contentRules(job.scope, findings.isStaged),
      decline: (entry) => isTooLargeForBlockSize(entry, job.settings) || keepsConf(job, entry),
      onItem: (entry, iflags, xname, ndx) => {
        if (!findings.isCopyConfirmed && isOtherConf(iflags, entry)) {
          doubt.isRaised = true;
          refuseOtherCopy(job); // ends the run before this file is sent
        }
        job.progress.reached(ndx);
        if (keepsConf(job, entry)) return;
        if (isTransfer(iflags) && isTooLargeForBlockSize(entry, job.settings)) {
          findings.noteTooLarge(entry);
        } else {
          books.onItem(entry, iflags, xname, ndx);
        }
      },
    });
  const outcome = await unlessFsyncRefused(
    memory.state,
    () => contentOptions(job, memory.state, findings.isDeleting),
    (options) => {
      messages.length = 0;
      return run(options);
    },
  );
  if (doubt.isRaised) {
    await confirmOurCopy(job, memory.state);
    findings.confirmCopy();
    return sendContent(job, memory, findings);
  }
  if (tempDir !== undefined && (await hasLostTempDir(job, outcome))) return false;
  const isPartial = outcome.protocol !== undefined && outcome.exitCode === 23;
  const isFollowed = deletesTwice || findings.deletesLater;
  if (isFollowed && isPartial && ledger.failures === failuresBefore) {
    // The obstacle may be a folder that this pass keeps, or whose diriv it keeps. The next pass
    // reports it.
    if (deletesTwice) findings.noteUndeletable();
    return true;
  }
  for (const message of messages) reportMessage(job, ...message);
  accept(job, outcome);
  return true;
}

/** Saves that a push which is cut off from here on leaves emptied folders. */
function noteSecondPass(memory: Memory): void {
  const { state } = memory;
  if (state.prunePending && state.halfFolders === true) return;
  state.prunePending = true;
  state.halfFolders = true;
  memory.save();
}

/** @throws {VaultError} `copy-gone` — and everything else with it */
async function hasLostTempDir(job: PushJob, outcome: RunOutcome): Promise<boolean> {
  if (!isTempDirRefusal(outcome)) return false;
  await assertCopyThere(job);
  return true;
}

/**
 * Whether the server has another conf than earlier pushes have stored. (A diriv is also requested
 * when only its time differs, which in layout `reverse` is that of its folder.)
 */
function isOtherConf(iflags: number, { virtual }: PushEntry): boolean {
  return virtual === 'conf' && isTransfer(iflags) && !isNew(iflags);
}

/** All names of the hard-link groups of the given entries. */
export function withLinkedNames(job: PushJob, files: ReadonlySet<PushEntry>): Set<PushEntry> {
  const groups = new Set([...files].flatMap((file) => file.linkGroup ?? []));
  if (groups.size === 0) return new Set(files);
  const linked = job.snapshot.entries.filter(
    (e) => e.linkGroup !== undefined && groups.has(e.linkGroup),
  );
  return new Set([...files, ...linked]);
}

/**
 * Sends some files in a run of their own, with options that would be wrong for all files.
 *
 * @returns whether the server stored everything it was sent
 */
export async function sendApart(
  job: PushJob,
  memory: Memory,
  findings: Findings,
  apart: {
    readonly files: ReadonlySet<PushEntry>;
    readonly noBlockSize?: boolean;
    readonly ignoreTimes?: boolean;
  },
): Promise<boolean> {
  const { files, noBlockSize = false, ignoreTimes = false } = apart;
  if (files.size === 0) return true;
  const tempDir = tempDirOf(job, memory.state);
  const { blockSize, ...options } = transferOptions(job.settings, {
    ignoreTimes,
    xattrs: job.settings.xattrs,
    ...sparseOption([...files]),
    ...(tempDir !== undefined && { tempDir }),
  });
  const outcome = await runRsync(job.context, {
    ...contentListeners(job, findings),
    entries: withTempDir(
      withAncestors(job.snapshot.entries, withLinkedNames(job, files)),
      job.context.view,
    ),
    options: noBlockSize || blockSize === undefined ? options : { ...options, blockSize },
    onMessage: (level, text) => reportMessage(job, level, text),
  });
  return accept(job, outcome);
}
