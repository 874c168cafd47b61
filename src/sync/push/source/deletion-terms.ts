/**
 * The settings that decide what a push deletes, as one short text that can be stored and compared.
 */
import type { PushSettings } from './push-settings.ts';
import { createHash } from 'node:crypto';

/**
 * If a push under these terms completed its deletions, the next push under the same terms only has
 * to delete what has gone since.
 */
export function deletionTerms(
  settings: Pick<PushSettings, 'rules' | 'limits'> &
    Partial<Pick<PushSettings, 'xattrs' | 'deleteExcluded'>>,
): string {
  const { rules, limits, xattrs, deleteExcluded } = settings;
  const patterns = rules.map((rule) => ({
    ...rule,
    pattern: Buffer.from(rule.pattern).toString('latin1'),
  }));
  const terms = JSON.stringify([
    patterns,
    limits ?? null,
    xattrs === true,
    ...(deleteExcluded === true ? ['excluded'] : []),
  ]);
  return createHash('sha256').update(terms).digest('base64').slice(0, 22);
}
