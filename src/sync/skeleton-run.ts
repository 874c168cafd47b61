import type { TransferOptions } from '../rsync/options.ts';
import { isDirectory } from '../tree/entry.ts';
import { asNew, isCreation } from './itemize.ts';
import { afterSkeleton } from './moves-links.ts';
import type { PushEntry } from './push-entry.ts';
import { accept, bookkeeping, type PushJob, transferOptions } from './push-job.ts';
import { runRsync } from './rsync-run.ts';
import { contentOptions, NO_TEMP_DIR, skeletonOptions, tempDirOf } from './run-options.ts';
import { knownKey, newStructure, withAncestors } from './skeleton.ts';
import { foundingRuns, tempDirSpellings, withTempDir } from './staging.ts';
import {
  type Findings,
  isTempDirRefusal,
  type Memory,
  nameLists,
  tellMessage,
} from './transfer-books.ts';

/** One of the runs that come before the skeleton: a new root, and what is to be staged. */
async function stage(
  job: PushJob,
  copies: readonly PushEntry[],
  next: () => TransferOptions | undefined,
): Promise<void> {
  const [root] = job.snapshot.entries;
  const { onItem } = bookkeeping(job);
  const outcome = await runRsync(job.context, {
    entries: copies,
    options: transferOptions(job.settings, { checksum: false, hardLinks: false }),
    next,
    ...nameLists(job),
    // The root is no copy: this is the run that creates it, or mends its attributes.
    onItem: (entry, ...item) => {
      if (entry === root) onItem(entry, ...item);
    },
    onMessage: (level, text) => tellMessage(job, level, text),
  });
  accept(job, outcome);
}

/**
 * Creates what is new of the skeleton: folders with their diriv, `.name` files, the conf. Tries the
 * spellings of the temporary directory until the server accepts one.
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
  const wanted = new Set(fresh);
  const list = withAncestors(entries, wanted);
  const founding = foundingRuns(list, wanted);
  for (const entriesOfRun of founding) {
    await stage(job, entriesOfRun, () =>
      entriesOfRun === founding.at(-1) ? skeletonOptions(job, state) : undefined,
    );
  }
  if (founding.length > 0) findings.staged = true;
  const spellings = tempDirSpellings(job.context.destination);
  for (;;) {
    const tempDir = tempDirOf(job, state);
    const books = bookkeeping(job);
    const outcome = await runRsync(job.context, {
      ...books,
      ...nameLists(job),
      onItem: (entry, iflags, xname, ndx) => {
        const isNewFolder = isDirectory(entry) && isCreation(iflags);
        books.onItem(entry, isNewFolder ? asNew(iflags) : iflags, xname, ndx);
      },
      entries: withTempDir(list, job.context.view),
      options: skeletonOptions(job, state),
      next: () => afterSkeleton(job) ?? contentOptions(job, state, findings.deleting),
      onMessage: (level, text) => tellMessage(job, level, text),
    });
    if (tempDir !== undefined && isTempDirRefusal(outcome)) {
      state.tempDirChoice =
        state.tempDirChoice + 1 < spellings.length ? state.tempDirChoice + 1 : NO_TEMP_DIR;
      continue;
    }
    if (accept(job, outcome)) for (const entry of fresh) state.known.add(knownKey(entry));
    memory.save();
    return;
  }
}

/** Makes the root of a mirror and its marker, by which the next push recognises it. */
export async function buildMirror(job: PushJob, memory: Memory): Promise<void> {
  const { state } = memory;
  const [root] = job.snapshot.entries;
  const marker = job.snapshot.entries.find(({ virtual }) => virtual === 'mirror');
  if (root === undefined || marker === undefined || state.known.has(knownKey(marker))) return;
  const outcome = await runRsync(job.context, {
    ...bookkeeping(job),
    ...nameLists(job),
    entries: [root, marker],
    options: transferOptions(job.settings, { checksum: false, hardLinks: false }),
    next: () => contentOptions(job, state, false),
    onMessage: (level, text) => tellMessage(job, level, text),
  });
  if (!accept(job, outcome)) return;
  state.known.add(knownKey(marker));
  memory.save();
}
