/**
 * Assembles what a check of a whole copy needs: the copy, its key, and what its vault knows of it.
 */
import { VaultError } from '../errors.ts';
import type { Sample } from '../sync/browse/sample.ts';
import { fsck } from '../sync/check/fsck.ts';
import type { FsckReporter } from '../sync/check/fsck-job.ts';
import { KeptNames } from '../sync/push/job/kept-names.ts';
import { pathKind } from '../vault/files/path-kind.ts';
import { IdentityCheck } from '../view/decrypt/identity-check.ts';
import { besidePushes } from './concurrent-pushes.ts';
import type { Caller } from './caller.ts';
import type { CopyPlace } from './copy-place.ts';
import type { FsckRunSummary } from './fsck-summary.ts';
import type { RunEnd } from './failure.ts';
import { HeldProblems, withOpenedCopy, type CopyAccess } from './opened-copy.ts';
import { recordRun } from './run-record.ts';

/** What is checked, and how. */
export interface FsckRun {
  readonly access: CopyAccess;
  /** Which files are read. Absent: all. */
  readonly sample?: Sample | undefined;
  /** As in `FsckJob`. */
  readonly allowHoles: boolean;
  readonly checksNonces: boolean;
  /** Patterns for foreign objects that are kept in the copy on purpose. */
  readonly keep: readonly string[];
  /** Compare with what the last push left. */
  readonly comparesWithPush: boolean;
}

/**
 * Checks a copy.
 *
 * @throws as `withOpenedCopy` and `fsck`
 */
export async function fsckCopy(
  caller: Caller,
  { access, sample, allowHoles, checksNonces, keep, comparesWithPush }: FsckRun,
  reporter: FsckReporter,
): Promise<FsckRunSummary> {
  const { vault } = access.place;
  const held = new HeldProblems();
  const plan = { reach: 'all' as const, onProblem: held.onProblem };
  return withOpenedCopy(caller, access, plan, async ({ reached, copy, layout, known }) => {
    const contents = await reached.contents(copy);
    const lastPush = comparesWithPush ? known?.lastPush(layout) : undefined;
    const job = {
      openTree: (onProblem: typeof held.onProblem) => {
        held.tell(onProblem);
        return copy.tree;
      },
      layout,
      ...(vault?.storedConf === undefined ? {} : { conf: vault.storedConf.bytes }),
      ...(contents === undefined ? {} : { contents }),
      ...(sample === undefined ? {} : { sample: sample.isIn }),
      isOnlyEcsync: known?.isOnlyEcsync === true,
      allowHoles,
      checksNonces,
      kept: new KeptNames(keep),
      identities: new IdentityCheck(layout, {
        known: known?.identities,
        isExactAt: lastPush && ((plainPath) => lastPush.isExactAt(plainPath)),
        keepsMisplaced: true,
      }),
      lastPush,
    };
    const summary = await fsck(job, reporter, caller.signal);
    const pushUnknown = comparesWithPush ? known?.pushUnknown : undefined;
    return {
      ...summary,
      ...copy.traffic(),
      ...(sample === undefined ? {} : { seed: sample.seed }),
      comparedWithPush: lastPush !== undefined,
      ...(pushUnknown === undefined ? {} : { pushUnknown }),
    };
  });
}

/**
 * Runs a check, records it in the history of the vault, if there is one, and reports concurrent
 * pushes.
 *
 * @throws {VaultError} `copy-missing` — the local folder does not exist; as `recordRun`; what
 *   `work` throws
 */
export function fsckRecorded<End extends RunEnd>(
  caller: Caller,
  { place, isPart }: { readonly place: CopyPlace; readonly isPart: boolean },
  work: () => Promise<End>,
): Promise<End> {
  const { vault, destination } = place;
  if (destination.kind === 'local') assertFolder(destination.path);
  const beside = (): Promise<End> => besidePushes(caller, { vault, destination }, work);
  if (vault === undefined) return beside();
  return recordRun(caller, { vault, command: 'fsck', destination, isPart }, beside);
}

/** @throws {VaultError} `copy-missing` */
function assertFolder(folder: string): void {
  if (pathKind(folder) === 'folder') return;
  throw new VaultError('copy-missing', `${folder} is not a folder`, {
    hint: 'Is its disk mounted?',
  });
}
