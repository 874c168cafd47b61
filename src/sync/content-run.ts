import { contentRules } from './deletion.ts';
import { isTransfer } from './itemize.ts';
import type { PushEntry } from './push-entry.ts';
import { accept, isTooLargeForBlockSize, type PushJob, transferOptions } from './push-job.ts';
import { progressOf } from './push-progress.ts';
import { runRsync } from './rsync-run.ts';
import { contentOptions, tempDirOf } from './run-options.ts';
import { withAncestors } from './skeleton.ts';
import { withTempDir } from './staging.ts';
import {
  contentListeners,
  deletionListeners,
  type Findings,
  isTempDirRefusal,
  type Memory,
  type Message,
  nameLists,
  tellMessage,
} from './transfer-books.ts';

/**
 * The main run: everything is listed, the server asks for what differs, and afterwards removes
 * content that is gone from the source.
 *
 * @returns false when the server lost our temporary directory, and with it our idea of its state
 */
export async function sendContent(
  job: PushJob,
  memory: Memory,
  findings: Findings,
): Promise<boolean> {
  const tempDir = tempDirOf(job, memory.state);
  const options = contentOptions(job, memory.state, findings.deleting);
  const books = contentListeners(job, findings);
  const progress = progressOf(job);
  const { ledger } = job.context;
  const failuresBefore = ledger.failures;
  const messages: Parameters<Message>[] = [];
  // A second pass is for what the first one leaves so that the rest stays readable.
  const deletesTwice = findings.deleting && job.context.view.isEncrypted;
  if (deletesTwice && !memory.state.prunePending) {
    memory.state.prunePending = true;
    memory.save();
  }
  const outcome = await runRsync(job.context, {
    ...books,
    ...nameLists(job),
    ...deletionListeners(job, findings, (...message) => messages.push(message)),
    entries: withTempDir(job.snapshot.entries, job.context.view),
    options,
    next: () => (deletesTwice && findings.pruneNeeded ? options : undefined),
    rules: contentRules(job.scope, findings.staged),
    decline: (entry) => isTooLargeForBlockSize(entry, job.settings),
    onItem: (entry, iflags, xname, ndx) => {
      progress.reached(ndx);
      if (isTransfer(iflags) && isTooLargeForBlockSize(entry, job.settings)) {
        findings.tooLarge.add(entry);
        findings.unasked.delete(entry);
      } else {
        books.onItem(entry, iflags, xname, ndx);
      }
    },
  });
  if (tempDir !== undefined && isTempDirRefusal(outcome)) return false;
  const isPartial = outcome.protocol !== undefined && outcome.exitCode === 23;
  if (deletesTwice && isPartial && ledger.failures === failuresBefore) {
    // What stands in the way may be a folder whose diriv this pass protects: the second one tells.
    findings.pruneNeeded = true;
    findings.undeletable = true;
    return true;
  }
  for (const message of messages) tellMessage(job, ...message);
  accept(job, outcome);
  return true;
}

/** All names of the hard-link groups that any of the given entries belongs to. */
export function withLinkedNames(job: PushJob, files: ReadonlySet<PushEntry>): Set<PushEntry> {
  const groups = new Set([...files].flatMap((file) => file.linkGroup ?? []));
  if (groups.size === 0) return new Set(files);
  const linked = job.snapshot.entries.filter(
    (e) => e.linkGroup !== undefined && groups.has(e.linkGroup),
  );
  return new Set([...files, ...linked]);
}

/** Sends some files in a run of their own, with options that would be wrong for all of them. */
export async function sendApart(
  job: PushJob,
  memory: Memory,
  findings: Findings,
  apart: {
    readonly files: ReadonlySet<PushEntry>;
    readonly noBlockSize?: boolean;
    readonly ignoreTimes?: boolean;
  },
): Promise<void> {
  const { files, noBlockSize = false, ignoreTimes = false } = apart;
  if (files.size === 0) return;
  const tempDir = tempDirOf(job, memory.state);
  const { blockSize, ...options } = transferOptions(job.settings, {
    ignoreTimes,
    xattrs: job.settings.xattrs === true,
    ...(tempDir !== undefined && { tempDir }),
  });
  const outcome = await runRsync(job.context, {
    ...contentListeners(job, findings),
    ...nameLists(job),
    entries: withTempDir(
      withAncestors(job.snapshot.entries, withLinkedNames(job, files)),
      job.context.view,
    ),
    options: noBlockSize || blockSize === undefined ? options : { ...options, blockSize },
    onMessage: (level, text) => tellMessage(job, level, text),
  });
  accept(job, outcome);
}
