/** How much a push may delete or replace before it stops and asks for a second look. */
import type { PushSettings } from '../source/push-settings.ts';
import type { ObjectLimit } from '../../../options/option-values.ts';
import { deletionTerms } from '../source/deletion-terms.ts';

/** What may go without being asked: a share of what is there, and so many always. */
interface Allowance {
  readonly percent: number;
  readonly always: number;
}

const DELETIONS: Allowance = { percent: 10, always: 50 };
const CHANGES: Allowance = { percent: 50, always: 500 };

function limitOf(asked: ObjectLimit | undefined, total: number, otherwise: Allowance): number {
  if (typeof asked === 'number') return asked;
  if (asked !== undefined) return Math.floor((total * asked.percent) / 100);
  return Math.max(otherwise.always, Math.floor((total * otherwise.percent) / 100));
}

/**
 * @param total - objects at the destination, about
 * @returns how many may go
 */
export function deleteLimit(asked: ObjectLimit | undefined, total: number): number {
  return limitOf(asked, total, DELETIONS);
}

/**
 * @param total - files at the destination, about
 * @returns of how many the content may be replaced
 */
export function changeLimit(asked: ObjectLimit | undefined, total: number): number {
  return limitOf(asked, total, CHANGES);
}

function shown(option: string, asked: ObjectLimit | undefined, { percent }: Allowance): string {
  if (typeof asked === 'number') return `${option} ${asked} allows`;
  if (asked !== undefined) return `${option} ${asked.percent}% allows`;
  return `${percent}% of the copy, which is the limit without ${option}`;
}

/** The limit for messages: `--max-delete 10 allows` or what counts without one. */
export function shownLimit(asked: ObjectLimit | undefined): string {
  return shown('--max-delete', asked, DELETIONS);
}

/** The same for `--max-changed`. */
export function shownChangeLimit(asked: ObjectLimit | undefined): string {
  return shown('--max-changed', asked, CHANGES);
}

/** What is remembered of a destination that says how much may be due for deletion there. */
export interface KnownDeletions {
  readonly deletedUnder: string | undefined;
  /** Remembered objects that the source does not have any more. */
  readonly gone: number | undefined;
  /** Remembered files. */
  readonly filesBefore: number | undefined;
}

/**
 * Whether so few deletions are due that nobody needs to be asked; only certain when all is known. Where
 * most of what is remembered is gone, the folder was restored from a backup together with its
 * vault: then the copy may have what was pushed later, and nobody remembers that.
 */
export function isSurelyFew(settings: PushSettings, known: KnownDeletions): boolean {
  const { deletedUnder, gone, filesBefore = Infinity } = known;
  if (settings.maxDelete !== undefined || settings.paths.length > 0) return false;
  if (deletedUnder === undefined || gone === undefined || gone > DELETIONS.always) return false;
  if (gone * 2 > filesBefore) return false;
  return deletedUnder === deletionTerms(settings);
}
