/**
 * Detects destinations that do not keep times or permissions as they were sent. FAT, for example,
 * has steps of two seconds and no permissions. Otherwise everything would look changed at every
 * push. The server is asked about files that it has just stored, so that any difference comes from
 * the destination.
 */
import { isRegularFile } from '../../../tree/entry.ts';
import { differingAttributes, isTransfer } from '../job/itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushJob } from '../job/push-job.ts';
import type { PushSettings } from '../source/push-settings.ts';
import type { KeepsNot, PushState } from '../memory/push-state.ts';
import { ask } from '../job/question.ts';
import { withAncestors } from '../source/skeleton.ts';

/** Maximum number of files to ask about. */
const SAMPLE_MAX = 16;
/** This many files with odd seconds, and none with even ones, are no coincidence. */
const ODD_MIN = 8;
/** The difference of times on FAT, which stores even seconds only. */
const WINDOW_SEC = 1;

/** The settings of a push to a destination of which this is remembered. */
export function asKept(
  { perms, owner, group }: PushSettings,
  { modifyWindowSec, keepsNot = {} }: PushState,
): Partial<PushSettings> {
  return {
    ...(modifyWindowSec !== undefined && { modifyWindowSec }),
    perms: perms && keepsNot.perms !== true,
    owner: owner && keepsNot.owner !== true,
    group: group && keepsNot.group !== true,
  };
}

/**
 * Finds attributes that the destination changes, and remembers them for later pushes. It asks after
 * a first push, and when a server requested files that had not changed. Otherwise it costs nothing.
 *
 * @param push.sent - files that this push has sent
 * @param push.otherTime - files that the server requested because it has them with another time
 * @returns whether there is something to remember
 * @throws as `ask`
 */
export async function learnWhatIsKept(
  job: PushJob,
  state: PushState,
  push: {
    readonly sent: ReadonlySet<PushEntry>;
    readonly otherTime: ReadonlySet<PushEntry>;
    readonly isFirst: boolean;
  },
): Promise<boolean> {
  if (!push.isFirst && unexpected(job, push.sent).length === 0) return false;
  const sample = sampleOf(push.sent);
  if (sample.length === 0) return false;
  const said = await look(job, sample, {});
  if (said === undefined) return false;
  // Attributes that could not be set were reported, and may be settable later.
  const keepsNot = job.context.ledger.failures === 0 ? said.keepsNot : {};
  const isCoarse =
    lostOddSeconds(unexpected(job, push.otherTime)) ||
    (said.wanted && (await look(job, sample, { modifyWindowSec: WINDOW_SEC }))?.wanted === false);
  if (isCoarse) state.modifyWindowSec = WINDOW_SEC;
  const names = Object.keys(keepsNot);
  if (names.length > 0) state.keepsNot = { ...state.keepsNot, ...keepsNot };
  tell(job, isCoarse, names);
  return isCoarse || names.length > 0;
}

const WORDS: Readonly<Record<string, string>> = {
  perms: 'permissions',
  owner: 'owners',
  group: 'groups',
};

function tell({ context }: PushJob, isCoarse: boolean, names: readonly string[]): void {
  if (isCoarse) {
    context.ledger.note(
      'times-coarse',
      'the destination keeps times to two seconds only, as FAT does: from now on a file whose time differs by one second counts as unchanged',
    );
  }
  if (names.length === 0) return;
  const what = names.map((name) => WORDS[name] ?? name).join(' and ');
  context.ledger.note(
    'attributes-not-kept',
    `the destination does not keep ${what} as they are sent: from now on they are left out`,
  );
}

/**
 * Files that a server requested although, as far as this vault knows, they are unchanged since
 * their push.
 */
function unexpected({ moves }: PushJob, asked: ReadonlySet<PushEntry>): readonly PushEntry[] {
  const { fresh, changed, suspects } = moves;
  if (fresh === undefined || changed === undefined) return [];
  const expected = new Set<PushEntry>([...fresh, ...changed, ...suspects]);
  return [...asked].filter((entry) => !expected.has(entry));
}

/**
 * Some systems keep an exact time until the disk is mounted again, so stored files look right at
 * first. Then all requested files have odd seconds, which is no coincidence.
 */
function lostOddSeconds(files: readonly PushEntry[]): boolean {
  const plain = files.filter(({ plain: source }) => source !== undefined);
  return plain.length >= ODD_MIN && plain.every(({ mtimeSec }) => mtimeSec % 2 !== 0);
}

/**
 * A sample with at least half odd seconds. Files with even seconds only show the other attributes.
 */
function sampleOf(sent: ReadonlySet<PushEntry>): readonly PushEntry[] {
  const odd: PushEntry[] = [];
  const even: PushEntry[] = [];
  for (const entry of sent) {
    if (!isRegularFile(entry)) continue;
    const part = entry.mtimeSec % 2 === 0 ? even : odd;
    if (part.length < SAMPLE_MAX / 2) part.push(entry);
    if (odd.length + even.length === SAMPLE_MAX) break;
  }
  return [...odd, ...even];
}

/** What a server reports about files that it has just stored. Undefined if it does not answer. */
async function look(
  job: PushJob,
  sample: readonly PushEntry[],
  options: { readonly modifyWindowSec?: number },
): Promise<{ readonly wanted: boolean; readonly keepsNot: KeepsNot } | undefined> {
  const asked = new Set(sample);
  let wanted = false;
  let keepsNot: KeepsNot = {};
  const { isAnswered, outcome } = await ask(job, {
    entries: withAncestors(job.snapshot.entries, asked),
    options: { ...options, checksum: false, ignoreExisting: false },
    onItem: (entry, iflags) => {
      if (!asked.has(entry)) return;
      wanted ||= isTransfer(iflags);
      keepsNot = { ...keepsNot, ...differingAttributes(iflags) };
    },
  });
  return isAnswered && outcome.error === undefined ? { wanted, keepsNot } : undefined;
}
