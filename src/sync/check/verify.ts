/** Verifies that a copy holds exactly what its vault says. */
import { performance } from 'node:perf_hooks';
import { RemoteError, VaultError } from '../../errors.ts';
import { guarded } from '../push/guards/copy-presence.ts';
import type { PushJob } from '../push/job/push-job.ts';
import type { OpenVault } from '../push/opened-vault.ts';
import { withPushJob, type PushSurroundings } from '../push/push.ts';
import type { PushSettings } from '../push/source/push-settings.ts';
import { unsettle } from '../push/memory/push-mark.ts';
import { encodeState, isFounded, type PushState } from '../push/memory/push-state.ts';
import { assertAnswered, comparesExisting, recognisingFile } from '../push/job/question.ts';
import { staleSuspects } from '../push/memory/racy.ts';
import type { NOT_ENCRYPTED } from '../run-settings.ts';
import { knownKey } from '../push/source/skeleton.ts';
import { FindingMaker } from './verify-finding.ts';
import type { VerifyFinding, VerifySummary } from './verify-summary.ts';
import { filesInDoubt, selectionTerms } from '../push/memory/unfinished.ts';
import { inspect, type Inspection, WHETHER_WHOLE } from './verify-inspect.ts';
import { repair } from './verify-repair.ts';

/** What a verification does beside comparing. */
export interface VerifyOptions {
  /** Push the objects that are wrong, and compare them again. */
  readonly repair: boolean;
  /** Receives each finding; after a repair, again with whether it is repaired. Must not throw. */
  onFinding(finding: VerifyFinding, repaired: boolean): void;
}

/**
 * Verifies that a copy holds exactly what its vault says. Every file is encrypted and hashed here,
 * the server hashes the copy, and only differences are transferred. Nothing is changed at the
 * server without `repair`.
 *
 * @throws as `push`, and
 * @throws {VaultError} `copy-missing` — there is nothing at the destination
 * @throws {NotNowError} `copy-gone` — a local folder that had a copy: its disk may not be mounted
 * @throws {RemoteError} `comparison-withheld` — the server ignores existing files, so it would find
 *   them all equal; `answers-withheld` — it does not answer dry runs
 */
export async function verify(
  settings: PushSettings,
  vault: OpenVault | typeof NOT_ENCRYPTED,
  surroundings: PushSurroundings,
  options: VerifyOptions,
): Promise<VerifySummary> {
  const startedMs = performance.now();
  const asked = { ...settings, checksum: true };
  return withPushJob(asked, vault, surroundings, async (job, remembered) => {
    // Checks a local folder as a push does.
    if (isFounded(remembered) && job.settings.destination.kind === 'local') guarded(job);
    await assertCompares(job);
    const { entries } = job.snapshot;
    const seen = await inspect(job, { entries, checksum: true, extras: true });
    if (!seen.hasItemRecords) reportTooOld(job);
    if (seen.differences.some(({ entry }) => entry.virtual === 'conf')) {
      await job.confThere?.judge(job, remembered);
    }
    const found = findingsOf(job, seen, remembered);
    const save = (state: PushState): void => surroundings.store.write(encodeState(state));
    const repaired = async (): Promise<readonly VerifyFinding[]> => {
      try {
        return findingsOf(job, await repair(job, seen, { remembered, save }), remembered);
      } catch (error) {
        // A repair may have fixed only a part, which a second comparison would not report.
        for (const finding of found) options.onFinding(finding, false);
        throw error;
      }
    };
    const isDue = options.repair && (found.length > 0 || !seen.hasItemRecords);
    if (isDue) unsettle(surroundings.mark);
    const left = isDue ? await repaired() : found;
    const remaining = new Set(left.map(keyOf));
    for (const finding of found) options.onFinding(finding, !remaining.has(keyOf(finding)));
    const { extrasAsked } = seen;
    const isRemembered = remembered !== undefined;
    return summarise(job, { found, left, extrasAsked, isRemembered, startedMs });
  });
}

/**
 * Makes sure that there is a copy, and that the server compares existing files. A server that
 * ignores existing files would report every copy as perfect.
 */
async function assertCompares(job: PushJob): Promise<void> {
  const { destination } = job.settings;
  const known = recognisingFile(job);
  if (known === undefined) return;
  const { compares, rootIsNew, answer } = await comparesExisting(job, known);
  if (rootIsNew) {
    throw new VaultError('copy-missing', `${destination.shown}: there is no copy`, {
      hint: 'Is this the right destination? `ecsync push` makes a copy.',
    });
  }
  if (compares) return;
  assertAnswered(job, answer, WHETHER_WHOLE);
  throw new RemoteError(
    'comparison-withheld',
    `${destination.shown}: the server does not compare files that exist`,
    {
      hint: 'It only takes new files (`rrsync -no-overwrite`), and says nothing of those that are there. Read the copy by a login that may read (`rrsync -ro`): ecsync fsck. Or verify with a key that may overwrite.',
    },
  );
}

function reportTooOld({ context, settings }: PushJob): void {
  context.ledger.note(
    'remote-too-old',
    `${settings.destination.shown}: its rsync is too old to tell about attributes, links and what it has beyond the vault; only the content of files was compared`,
  );
}

function findingsOf(
  job: PushJob,
  { differences, extras, hasItemRecords }: Inspection,
  remembered: PushState | undefined,
): VerifyFinding[] {
  const { entries } = job.snapshot;
  const suspects = staleSuspects(entries, remembered?.racy ?? [], new Set());
  const terms = selectionTerms(job.settings);
  for (const file of filesInDoubt(entries, remembered?.unfinished, terms)) suspects.add(file);
  const conf = entries.find(({ virtual }) => virtual === 'conf');
  const maker = new FindingMaker(job, {
    hasItemRecords,
    suspects,
    extras,
    isUnfinished: remembered?.unfinished !== undefined,
    isConfKnown: conf === undefined || remembered?.known.has(knownKey(conf)) !== false,
  });
  // The note above has reported that the conf stays.
  const reported = differences.filter(({ entry }) => job.confThere?.keeps(entry) !== true);
  return [...maker.ofDifferences(reported), ...maker.ofExtras(extras)];
}

/** The same key before and after a repair, so that the rest of a difference is recognised. */
function keyOf({ path, object, structure, kind }: VerifyFinding): string {
  const side = kind === 'extra' ? 'extra' : 'here';
  return `${side} ${object} ${structure ?? ''} ${Buffer.from(path).toString('latin1')}`;
}

function summarise(
  job: PushJob,
  result: {
    readonly found: readonly VerifyFinding[];
    readonly left: readonly VerifyFinding[];
    readonly extrasAsked: boolean;
    readonly isRemembered: boolean;
    readonly startedMs: number;
  },
): VerifySummary {
  const { found, left, extrasAsked, isRemembered, startedMs } = result;
  const { ledger } = job.context;
  const count = (kind: VerifyFinding['kind']): number =>
    found.filter((finding) => finding.kind === kind).length;
  const { bytesSent, bytesReceived, runs } = ledger;
  const remaining = new Set(left.map(keyOf));
  return {
    exitCode: left.some(({ verdict }) => verdict === 'damage') ? 26 : ledger.exitCode(),
    filesTotal: job.snapshot.plainCount,
    totalBytes: job.snapshot.plainBytes,
    changed: count('changed'),
    missing: count('missing'),
    extra: count('extra'),
    attributes: count('attributes'),
    onlyThere: left.filter(({ verdict }) => verdict === 'extra').length,
    pending: left.filter(({ verdict }) => verdict === 'pending').length,
    repaired: found.filter((finding) => !remaining.has(keyOf(finding))).length,
    extrasAsked,
    isRemembered,
    bytesSent,
    bytesReceived,
    runs,
    elapsedMs: Math.round(performance.now() - startedMs),
  };
}
