/** How many deletions a push may make before it stops and asks for a second look. */
import { createHash } from 'node:crypto';
import type { MaxDelete, PushSettings } from './push-settings.ts';

/** Without `--max-delete`: a tenth of what is there, and a few dozens always. */
const SHARE_DEFAULT_PERCENT = 10;
const ALWAYS_ALLOWED = 50;

/**
 * @param total - objects at the destination, about
 * @returns how many may go
 */
export function deleteLimit(asked: MaxDelete | undefined, total: number): number {
  if (typeof asked === 'number') return asked;
  if (asked !== undefined) return Math.floor((total * asked.percent) / 100);
  return Math.max(ALWAYS_ALLOWED, Math.floor((total * SHARE_DEFAULT_PERCENT) / 100));
}

/** The limit for messages: `--max-delete 10` or what counts without one. */
export function shownLimit(asked: MaxDelete | undefined): string {
  if (typeof asked === 'number') return `--max-delete ${asked} allows`;
  if (asked !== undefined) return `--max-delete ${asked.percent}% allows`;
  return `${SHARE_DEFAULT_PERCENT}% of the copy, which is the limit without --max-delete`;
}

/**
 * What the copy holds beside the source, as far as settings decide: when a push under these deleted
 * all that was due, the next one under the same deletes no more than what has gone since.
 */
export function deletionTerms(settings: PushSettings): string {
  const { rules, limits, xattrs } = settings;
  const patterns = rules.map((rule) => ({
    ...rule,
    pattern: Buffer.from(rule.pattern).toString('latin1'),
  }));
  const terms = JSON.stringify([patterns, limits ?? null, xattrs === true]);
  return createHash('sha256').update(terms).digest('base64').slice(0, 22);
}

/** Whether so few deletions are due that nobody needs to be asked; only certain when all is known. */
export function isSurelyFew(
  settings: PushSettings,
  known: { readonly deletedUnder: string | undefined; readonly gone: number | undefined },
): boolean {
  const { deletedUnder, gone } = known;
  if (settings.maxDelete !== undefined || settings.paths.length > 0) return false;
  if (deletedUnder === undefined || gone === undefined || gone > ALWAYS_ALLOWED) return false;
  return deletedUnder === deletionTerms(settings);
}
