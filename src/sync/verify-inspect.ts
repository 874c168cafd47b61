import { RemoteError } from '../errors.ts';
import { isRegularFile } from '../tree/entry.ts';
import { previewRules } from './deletion.ts';
import { isSignificant } from './itemize.ts';
import { accept, isScratch, type PushJob, transferOptions } from './push-job.ts';
import type { PushEntry } from './push-entry.ts';
import type { PushProgress } from './push-settings.ts';
import { runRsync, type RunOutcome } from './rsync-run.ts';
import type { Difference, Extra } from './verify-finding.ts';

/** What a server said about a list, and about what is not in it. */
export interface Inspection {
  readonly differences: readonly Difference[];
  readonly extras: readonly Extra[];
  readonly extrasAsked: boolean;
  readonly hasItemRecords: boolean;
}

/** First protocol whose requests say what differs, and whose deletions are told by name. */
const ITEM_RECORDS_SINCE = 29;

/** A server's way of saying that this key may not delete. */
const DELETE_REFUSED = /delete/i;

/**
 * Has the server compare a list with what it has.
 *
 * @param what.checksum - by content; otherwise by size and time
 * @param what.extras - ask also for what is not in the list, which then must be all there is
 */
export async function inspect(
  job: PushJob,
  what: {
    readonly entries: readonly PushEntry[];
    readonly checksum: boolean;
    readonly extras: boolean;
  },
): Promise<Inspection> {
  const { ledger } = job.context;
  if (what.extras && job.snapshot.incomplete) {
    tellNoExtras(job, 'the source could not be read completely');
    return inspect(job, { ...what, extras: false });
  }
  const differences: Difference[] = [];
  const extras: Extra[] = [];
  const troubled = new Set<PushEntry>();
  const outcome = await runRsync(job.context, {
    ...(job.names && { names: job.names }),
    entries: what.entries,
    options: transferOptions(job.settings, {
      dryRun: true,
      checksum: what.checksum,
      deleteAfter: what.extras,
      xattrs: job.settings.xattrs === true,
    }),
    ...(what.extras && { rules: previewRules(job.scope) }),
    onOpen: hashingProgress(job, what.entries),
    onItem: (entry, iflags) => {
      if (isSignificant(iflags)) differences.push({ entry, iflags });
    },
    onDeleted: (cipherPath, isDirectory) => {
      if (!isScratch(cipherPath)) extras.push({ cipherPath, isDirectory });
    },
    onProblem: (entry, error) => {
      troubled.add(entry);
      ledger.problem(error, entry);
    },
    onMessage: () => undefined,
  });
  if (what.extras && isDeleteRefusal(outcome)) {
    tellNoExtras(job, 'this key may not delete, so the server does not tell');
    return inspect(job, { ...what, extras: false });
  }
  accept(job, outcome);
  const hasItemRecords = (outcome.protocol ?? ITEM_RECORDS_SINCE) >= ITEM_RECORDS_SINCE;
  return {
    // What could not be read here was sent with a sum of nothing.
    differences: differences.filter(({ entry }) => !troubled.has(entry)),
    extras,
    extrasAsked: what.extras && hasItemRecords,
    hasItemRecords,
  };
}

function tellNoExtras(job: PushJob, reason: string): void {
  const text = `what the copy has beyond the vault was not looked for: ${reason}`;
  job.context.ledger.note('extras-unknown', text);
}

function isDeleteRefusal(outcome: RunOutcome): boolean {
  return (
    outcome.protocol === undefined &&
    outcome.error instanceof RemoteError &&
    DELETE_REFUSED.test(outcome.saidText)
  );
}

/** Tells how far the hashing has come: files are opened in the order of the list. */
function hashingProgress(job: PushJob, entries: readonly PushEntry[]): (entry: PushEntry) => void {
  const files = entries.filter(isRegularFile);
  const bytesTotal = files.reduce((sum, { size }) => sum + size, 0);
  let filesDone = 0;
  let bytesDone = 0;
  return (entry) => {
    const progress: PushProgress = {
      stage: 'compare',
      filesDone: filesDone++,
      filesTotal: files.length,
      bytesDone,
      bytesTotal,
      ...(entry.plain && { current: entry.plain.path }),
    };
    bytesDone += entry.size;
    job.reporter.progress(progress);
  };
}
