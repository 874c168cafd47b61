/** Marks unfinished pushes, and finds the files that must be checked because of them. */
import { createHash } from 'node:crypto';
import { isRegularFile } from '../../../tree/entry.ts';
import { pathKey } from '../../../bytes/paths.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushSettings } from '../source/push-settings.ts';
import { deletionTerms } from '../source/deletion-terms.ts';

/**
 * A killed push may have stored any file of its list with its present size and second, but with
 * older content. So every push saves a mark before it sends content, and removes it when it has
 * saved what the next push must check. While the mark exists, every file that has changed since
 * then is compared by content.
 */
export interface UnfinishedMark {
  /** When the first of them began to scan the source, in milliseconds since 1970. */
  readonly sinceMs: number;
  /** Terms of the unfinished pushes, see {@link selectionTerms}. */
  readonly open: readonly string[];
  /** Terms of pushes that have completed since then. The files of their lists are checked. */
  readonly settled: readonly string[];
}

/** File systems store times in steps of up to two seconds. */
const TIME_STEP_MS = 2000;
const MS_PER_SEC = 1000;
/** Terms of a push whose files only a full push certainly lists. */
const ANY_TERMS = '*';
/** Limits how many terms are distinguished. */
const TERMS_MAX = 8;

type SelectionSettings = Pick<PushSettings, 'rules' | 'limits' | 'paths'> &
  Partial<Pick<PushSettings, 'xattrs'>>;

/** Identifies the files that a push lists, by its settings: rules, then paths. */
export function selectionTerms(settings: SelectionSettings): string {
  const { paths, rules, limits, xattrs = false } = settings;
  if (paths.length === 0 && rules.length === 0 && limits === undefined) return '';
  const terms = deletionTerms({ rules, xattrs, ...(limits && { limits }) });
  if (paths.length === 0) return terms;
  const named = paths.map((path) => (typeof path === 'string' ? path : [pathKey(path)]));
  const within = JSON.stringify(named.sort());
  return `${terms} ${createHash('sha256').update(within).digest('base64').slice(0, 22)}`;
}

/** Whether a push under `terms` lists everything that one under `others` does. */
function covers(terms: string, others: string): boolean {
  return terms === '' || others === terms || others.startsWith(`${terms} `);
}

/** The mark of a push that is about to send content. */
export function markBegun(
  before: UnfinishedMark | undefined,
  { startedMs, terms }: { readonly startedMs: number; readonly terms: string },
): UnfinishedMark {
  const open = [...(before?.open ?? []).filter((one) => !covers(terms, one)), terms];
  return {
    sinceMs: Math.min(before?.sinceMs ?? startedMs, startedMs),
    open: open.length > TERMS_MAX ? [ANY_TERMS] : open,
    settled: [],
  };
}

/**
 * The mark after a completed push.
 *
 * @param before - the mark at the beginning of that push
 * @returns undefined if nothing is left to be checked
 */
export function markEnded(
  before: UnfinishedMark | undefined,
  terms: string,
): UnfinishedMark | undefined {
  if (before === undefined) return undefined;
  const open = before.open.filter((one) => !covers(terms, one));
  if (open.length === 0) return undefined;
  const others = before.settled.filter((one) => !covers(terms, one));
  return { ...before, open, settled: [...others, terms].slice(-TERMS_MAX) };
}

/** Files that an unfinished push may have stored with outdated content. */
export function filesInDoubt(
  entries: readonly PushEntry[],
  mark: UnfinishedMark | undefined,
  terms: string,
): readonly PushEntry[] {
  if (mark === undefined || mark.settled.some((one) => covers(one, terms))) return [];
  const fromMs = mark.sinceMs - TIME_STEP_MS;
  return entries.filter(
    (entry) =>
      isRegularFile(entry) &&
      entry.plain !== undefined &&
      entry.plain.size > 0 &&
      Math.max(entry.plain.ctimeMs, entry.mtimeSec * MS_PER_SEC) >= fromMs,
  );
}

/** @returns undefined for anything that is no mark */
export function parseUnfinished(value: unknown): UnfinishedMark | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { sinceMs, open, settled } = value as Partial<UnfinishedMark>;
  const isList = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((one) => typeof one === 'string');
  if (typeof sinceMs !== 'number' || !isList(open) || !isList(settled)) return undefined;
  return { sinceMs, open, settled };
}
