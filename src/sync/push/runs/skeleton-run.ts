/** Creates the new skeleton of a copy: folders, their diriv, `.name` files and the conf. */
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import { isDirectory } from '../../../tree/entry.ts';
import { keepsConf } from '../guards/copy-conf.ts';
import type { Findings } from '../job/findings.ts';
import { asNew, isCreation } from '../job/itemize.ts';
import { afterLinks } from './large-files.ts';
import { afterSkeleton } from './moves-links.ts';
import { beforeLinks, unlessFsyncRefused } from '../job/durable-order.ts';
import { confirmOurCopy } from '../guards/preflight.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushState } from '../memory/push-state.ts';
import { withParents } from './make-parents.ts';
import { accept, ledgerListeners, type PushJob, transferOptions } from '../job/push-job.ts';
import { runRsync, type RunOutcome } from '../job/rsync-run.ts';
import { contentOptions, skeletonOptions } from '../job/run-options.ts';
import { isRootFile, knownKey, newStructure, withAncestors } from '../source/skeleton.ts';
import { foundingRuns, withTempDir } from '../job/staging.ts';
import { type Memory, type Message, reportMessage } from '../job/transfer-state.ts';
import { withTempDirSpelling } from './temp-dir-spelling.ts';

/** One of the runs before the skeleton: a new root, and staged files. */
async function stage(
  job: PushJob,
  copies: readonly PushEntry[],
  {
    state,
    fresh,
    next,
  }: {
    readonly state: PushState;
    readonly fresh: readonly PushEntry[];
    readonly next: () => TransferOptions | undefined;
  },
): Promise<void> {
  const [root] = job.snapshot.entries;
  const { onItem } = ledgerListeners(job);
  const optionsNow = (): TransferOptions =>
    transferOptions(job.settings, {
      checksum: false,
      hardLinks: false,
      ...beforeLinks(job, state, fresh),
    });
  const run = (options: TransferOptions, onMessage: Message): Promise<RunOutcome> =>
    runRsync(job.context, {
      entries: copies,
      options,
      next,
      decline: (entry) => keepsConf(job, entry),
      // The root counts as an object only in this run, which creates it or updates its attributes.
      onItem: (entry, ...item) => {
        if (entry === root) onItem(entry, ...item);
      },
      onMessage,
    });
  const outcome = await withParents(job, (onMessage) =>
    unlessFsyncRefused(state, optionsNow, (options) => run(options, onMessage)),
  );
  accept(job, outcome);
}

/**
 * Creates the new part of the skeleton: folders with their diriv, `.name` files, the conf. Tries
 * the spellings of the temporary directory until the server accepts one.
 */
export async function buildSkeleton(
  job: PushJob,
  memory: Memory,
  findings: Findings,
): Promise<void> {
  const { entries } = job.snapshot;
  const { state } = memory;
  const fresh = newStructure(entries, state.known);
  if (fresh.length === 0) return;
  if (!findings.isCopyConfirmed && fresh.some(isRootFile)) {
    await confirmOurCopy(job, state);
    findings.confirmCopy();
  }
  const wanted = new Set(fresh);
  const list = withAncestors(entries, wanted);
  const founding = foundingRuns(list, wanted);
  for (const entriesOfRun of founding) {
    const next = (): TransferOptions | undefined =>
      entriesOfRun === founding.at(-1) ? skeletonOptions(job, state, fresh) : undefined;
    await stage(job, entriesOfRun, { state, fresh, next });
  }
  if (founding.length > 0) findings.noteStaged();
  const outcome = await withTempDirSpelling(job, state, () => {
    const books = ledgerListeners(job);
    const run = (options: TransferOptions): Promise<RunOutcome> =>
      runRsync(job.context, {
        ...books,
        decline: (entry) => keepsConf(job, entry),
        onItem: (entry, iflags, xname, ndx) => {
          if (keepsConf(job, entry)) return;
          const isNewFolder = isDirectory(entry) && isCreation(iflags);
          books.onItem(entry, isNewFolder ? asNew(iflags) : iflags, xname, ndx);
        },
        entries: withTempDir(list, job.context.view),
        options,
        next: () => afterSkeleton(job) ?? afterLinks(job, state, findings),
        onMessage: (level, text) => reportMessage(job, level, text),
      });
    const optionsNow = (): TransferOptions => skeletonOptions(job, state, fresh);
    return unlessFsyncRefused(state, optionsNow, run);
  });
  if (accept(job, outcome)) for (const entry of fresh) state.known.add(knownKey(entry));
  state.halfFolders = findings.halfFolders;
  memory.save();
}

/** Makes the root of a mirror and the marker that identifies it. */
export async function buildMirror(job: PushJob, memory: Memory): Promise<void> {
  const { state } = memory;
  const [root] = job.snapshot.entries;
  const marker = job.snapshot.entries.find(({ virtual }) => virtual === 'mirror');
  if (root === undefined || marker === undefined || state.known.has(knownKey(marker))) return;
  const outcome = await withParents(job, (onMessage) =>
    runRsync(job.context, {
      ...ledgerListeners(job),
      entries: [root, marker],
      options: transferOptions(job.settings, { checksum: false, hardLinks: false }),
      next: () => contentOptions(job, state, false),
      onMessage,
    }),
  );
  if (!accept(job, outcome)) return;
  state.known.add(knownKey(marker));
  memory.save();
}
