/** Which settings decide what a push deletes, as one short text that can be remembered and compared. */
import type { PushSettings } from './push-settings.ts';
import { createHash } from 'node:crypto';

/**
 * What the copy holds beside the source, as far as settings decide: when a push under these deleted
 * all that was due, the next one under the same deletes no more than what has gone since.
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
