/** Parses the filter rules of a push from its options, its configuration and its presets. */
import { UsageError } from '../../errors.ts';
import type { FilterRule } from '../../tree/filter/filter.ts';
import { rulesOf, type FilterEntry } from './filter-entries.ts';
import type { PushValues } from './push-config.ts';

/**
 * The rules of a push: each list in its order, then those of presets.
 *
 * @throws {UsageError} `filter-unsupported` — a rule that protects objects of the destination from
 *   deletion: their names there are encrypted, so rsync cannot apply it
 */
export async function pushRules(
  lists: readonly (readonly FilterEntry[])[],
  options: Pick<PushValues, 'presets' | 'delete' | 'deleteExcluded'>,
): Promise<readonly FilterRule[]> {
  const presets = (options.presets ?? []).flat();
  if (lists.every((list) => list.length === 0) && presets.length === 0) return [];
  const { presetRules } = await import('../../tree/filter/filter-presets.ts');
  const rules = (await Promise.all(lists.map(rulesOf))).flat();
  const protecting = rules.find(({ action, side }) => action === 'exclude' && side === 'receiver');
  const deleting =
    options.deleteExcluded === true ? '--delete-excluded' : options.delete === true && '--delete';
  if (deleting !== false && protecting !== undefined) {
    throw new UsageError(
      'filter-unsupported',
      `the filter rule "protect ${Buffer.from(protecting.pattern).toString()}" cannot be kept with ${deleting} in this release of ecsync`,
      {
        hint: 'Push without it. What still exists and is excluded is not deleted by --delete alone.',
      },
    );
  }
  return [...rules, ...presets.flatMap((name) => presetRules(name) ?? [])];
}
