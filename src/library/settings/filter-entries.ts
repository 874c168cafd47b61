/** Filter rules as they are written in options or configuration, before they are parsed. */
import type { FILTER_OPTIONS } from '../../options/push-options.ts';
import type { FilterRule } from '../../tree/filter/filter.ts';
import type { FilterRules } from '../../tree/filter/filter-syntax.ts';

/**
 * The keys of filter rules, in the order of precedence within one table, and how each is parsed.
 */
export const FILTER_KINDS = {
  filter: 'filter',
  include: 'include',
  exclude: 'exclude',
  exclude_from: 'excludeFrom',
} as const satisfies Record<keyof typeof FILTER_OPTIONS, keyof FilterRules>;

type FilterKey = keyof typeof FILTER_KINDS;

/** True for a key of filter rules. */
export function isFilterKey(key: string): key is FilterKey {
  return Object.hasOwn(FILTER_KINDS, key);
}

/** The keys of {@link FILTER_KINDS}. */
export const FILTER_KEYS: readonly FilterKey[] = Object.keys(FILTER_KINDS).filter(isFilterKey);

/** One filter rule as it is written, or the name of a file with rules. */
export interface FilterEntry {
  readonly kind: (typeof FILTER_KINDS)[FilterKey];
  readonly text: string;
}

/**
 * Parses filter rules, in their order.
 *
 * @throws {UsageError} `filter-invalid`, `filter-file-unreadable`, … — every code of `FilterRules`
 */
export async function rulesOf(words: readonly FilterEntry[]): Promise<readonly FilterRule[]> {
  if (words.length === 0) return [];
  const { FilterRules } = await import('../../tree/filter/filter-syntax.ts');
  const collected = new FilterRules();
  for (const { kind, text } of words) collected[kind](text);
  return collected.rules;
}
