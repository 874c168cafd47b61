import { performance } from 'node:perf_hooks';
import { RemoteError, VaultError } from '../errors.ts';
import { isNew, isTransfer } from './itemize.ts';
import { accept, type PushJob, transferOptions } from './push-job.ts';
import { withPushJob, type OpenVault, type PushSurroundings } from './push.ts';
import type { PushSettings } from './push-settings.ts';
import { encodeState, type PushState } from './push-state.ts';
import { staleSuspects } from './racy.ts';
import { runRsync } from './rsync-run.ts';
import type { NOT_ENCRYPTED } from './run-settings.ts';
import { FindingMaker, type VerifyFinding } from './verify-finding.ts';
import { inspect, type Inspection } from './verify-inspect.ts';
import { repair } from './verify-repair.ts';

/** What a verification is to do beside looking. */
export interface VerifyOptions {
  /** Push what is wrong, and look at that again. */
  readonly repair: boolean;
  /** Told of each finding; after a repair, and then whether it has gone. Must not throw. */
  onFinding(finding: VerifyFinding, repaired: boolean): void;
}

/** What a verification found. */
export interface VerifySummary {
  /** 0, 26 with findings that remain, 23 or 24 when the source could not be read completely. */
  readonly exitCode: 0 | 23 | 24 | 26;
  /** Plaintext objects in the view (files, folders, links, specials). */
  readonly filesTotal: number;
  /** Plaintext bytes of all files. */
  readonly totalBytes: number;
  readonly changed: number;
  readonly missing: number;
  readonly extra: number;
  readonly attributes: number;
  /** How many of them are right now. */
  readonly repaired: number;
  /** Whether the server could be asked for what it has beyond the vault. */
  readonly extrasAsked: boolean;
  /** Whether it is known here what was pushed; if not, renamed files count as changed. */
  readonly isRemembered: boolean;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly runs: number;
  readonly elapsedMs: number;
}

/**
 * Whether a copy holds exactly what its vault says: every file is encrypted and hashed here, the
 * server hashes what it has, and nothing but the differences comes back. Nothing is changed there
 * unless a repair is asked for.
 *
 * @throws as `push`, and
 * @throws {VaultError} `copy-missing` — there is nothing at the destination
 * @throws {RemoteError} `comparison-withheld` — the server leaves files alone that exist, so it finds
 *   them all equal
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
    await assertCompares(job);
    const { entries } = job.snapshot;
    const seen = await inspect(job, { entries, checksum: true, extras: true });
    if (!seen.hasItemRecords) tellTooOld(job);
    const found = findingsOf(job, seen, remembered);
    const save = (state: PushState): void => surroundings.store.write(encodeState(state));
    const repaired = async (): Promise<readonly VerifyFinding[]> => {
      try {
        return findingsOf(job, await repair(job, seen, { remembered, save }), remembered);
      } catch (error) {
        // A part may be mended by now: another look would not find it any more.
        for (const finding of found) options.onFinding(finding, false);
        throw error;
      }
    };
    const isDue = options.repair && (found.length > 0 || !seen.hasItemRecords);
    const left = isDue ? await repaired() : found;
    const remaining = new Set(left.map(keyOf));
    for (const finding of found) options.onFinding(finding, !remaining.has(keyOf(finding)));
    const { extrasAsked } = seen;
    const isRemembered = remembered !== undefined;
    return summarise(job, { found, left, extrasAsked, isRemembered, startedMs });
  });
}

/**
 * Makes sure that there is a copy and that the server compares what exists with what it is told: one
 * that is made to ignore existing files would call every copy perfect. It is asked about a conf (of
 * a mirror: its marker) one byte longer than the true one, which it must want.
 */
async function assertCompares(job: PushJob): Promise<void> {
  const { destination } = job.settings;
  const [root] = job.snapshot.entries;
  const known = job.snapshot.entries.find(
    ({ virtual }) => virtual === 'conf' || virtual === 'mirror',
  );
  if (root === undefined || known === undefined) return;
  const longer = { ...known, size: known.size + 1 };
  const said = { rootIsNew: false, asksForIt: false };
  const outcome = await runRsync(job.context, {
    entries: [root, longer],
    options: transferOptions(job.settings, { dryRun: true, checksum: false }),
    onItem: (entry, iflags) => {
      if (entry === root) said.rootIsNew = isNew(iflags);
      else if (isTransfer(iflags)) said.asksForIt = true;
    },
    onMessage: () => undefined,
  });
  accept(job, outcome);
  if (said.rootIsNew) {
    throw new VaultError('copy-missing', `${destination.shown}: there is no copy`, {
      hint: 'Is this the right destination? `ecsync push` makes a copy.',
    });
  }
  if (said.asksForIt) return;
  throw new RemoteError(
    'comparison-withheld',
    `${destination.shown}: the server does not compare files that exist`,
    {
      hint: 'It may be restricted by `rrsync -no-overwrite`. Verify with a key that may overwrite.',
    },
  );
}

function tellTooOld({ context, settings }: PushJob): void {
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
  const suspects = staleSuspects(job.snapshot.entries, remembered?.racy ?? [], new Set());
  const maker = new FindingMaker(job, { hasItemRecords, suspects });
  return [...maker.ofDifferences(differences), ...maker.ofExtras(extras)];
}

/** Equal for the same difference before and after a repair, whatever is left of it. */
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
    exitCode: left.length > 0 ? 26 : ledger.exitCode(),
    filesTotal: job.snapshot.plainCount,
    totalBytes: job.snapshot.plainBytes,
    changed: count('changed'),
    missing: count('missing'),
    extra: count('extra'),
    attributes: count('attributes'),
    repaired: found.filter((finding) => !remaining.has(keyOf(finding))).length,
    extrasAsked,
    isRemembered,
    bytesSent,
    bytesReceived,
    runs,
    elapsedMs: Math.round(performance.now() - startedMs),
  };
}
