/** Pushes again the objects that a verification found wrong. */
import { withLinkedNames } from '../push/runs/content-run.ts';
import { refuseOtherVault } from '../push/guards/preflight.ts';
import { withEntries, type PushJob } from '../push/job/push-job.ts';
import type { PushEntry } from '../push/source/push-entry.ts';
import { emptyState, isFounded, type PushState } from '../push/memory/push-state.ts';
import { keepRoot } from '../push/guards/existing-root.ts';
import { isStructural, knownKey, withAncestors } from '../push/source/skeleton.ts';
import { transfer } from '../push/runs/transfer.ts';
import { inspect, type Inspection } from './verify-inspect.ts';

/**
 * Pushes the objects that an inspection found wrong, compared by content, and with `--delete`
 * removes extra objects. Then has the server inspect them again.
 *
 * @throws as `push`; also {VaultError} `destination-not-a-copy` — before the first deleting push,
 *   if this vault did not write the extra objects
 * @returns what is still wrong
 */
export async function repair(
  asked: PushJob,
  seen: Inspection,
  {
    remembered,
    save,
  }: {
    readonly remembered: PushState | undefined;
    readonly save: (state: PushState) => void;
  },
): Promise<Inspection> {
  if (!isFounded(remembered)) await refuseOtherVault(asked);
  const job = await keepRoot(asked);
  const state = remembered ?? emptyState();
  const wrong = withLinkedNames(job, new Set(seen.differences.map(({ entry }) => entry)));
  const { entries } = job.snapshot;
  // An old server names only files that differ. Everything else is pushed as usual.
  const list = seen.hasItemRecords
    ? withAncestors(entries, new Set([...wrong, ...entries.filter(isOfRoot)]))
    : entries;
  if (list.length > 0) await pushAgain(job, list, { wrong, state, save });
  const deletes = job.settings.delete && seen.extras.length > 0;
  if (deletes) await removeExtras(job, state, save);
  const again = await inspect(job, { entries: list, checksum: true, extras: false });
  const after = deletes
    ? await inspect(job, { entries, checksum: false, extras: true })
    : { extras: seen.extras };
  return { ...again, extras: after.extras };
}

/**
 * The files that identify a copy. If one were left out, a damaged copy would look like that of
 * another vault.
 */
function isOfRoot({ virtual, path }: PushEntry): boolean {
  return virtual !== undefined && !path.includes(0x2f);
}

/** Sends a part of the snapshot as if the destination had none of its wrong objects. */
async function pushAgain(
  job: PushJob,
  list: readonly PushEntry[],
  {
    wrong,
    state,
    save,
  }: {
    readonly wrong: ReadonlySet<PushEntry>;
    readonly state: PushState;
    readonly save: (state: PushState) => void;
  },
): Promise<void> {
  for (const entry of wrong) if (isStructural(entry)) state.known.delete(knownKey(entry));
  const part: PushJob = {
    ...withEntries(job, list, { isPart: true }),
    settings: { ...job.settings, delete: false, checksum: true },
  };
  await transfer(part, state, save);
}

/** A deleting push that also removes what no push has written: the verification has named it. */
async function removeExtras(
  job: PushJob,
  state: PushState,
  save: (state: PushState) => void,
): Promise<void> {
  const whole: PushJob = {
    ...job,
    settings: { ...job.settings, checksum: false },
    scope: { ...job.scope, removesForeign: true },
  };
  const { overLimit } = await transfer(whole, state, save);
  if (overLimit === undefined) return;
  job.context.ledger.note(
    'delete-limit',
    `nothing was deleted: ${overLimit} objects would go, more than --max-delete allows`,
  );
}
