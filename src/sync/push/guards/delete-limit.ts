/** Limits of how much a push may delete or replace without confirmation. */
import type { PushSettings } from '../source/push-settings.ts';
import type { ObjectLimit } from '../../../options/option-values.ts';
import { deletionTerms } from '../source/deletion-terms.ts';

/** The default limit: a share of all objects, and at least a fixed number. */
interface Allowance {
  readonly percent: number;
  readonly always: number;
}

const DELETIONS: Allowance = { percent: 10, always: 50 };
const CHANGES: Allowance = { percent: 50, always: 500 };

function limitOf(requested: ObjectLimit | undefined, total: number, otherwise: Allowance): number {
  if (typeof requested === 'number') return requested;
  if (requested !== undefined) return Math.floor((total * requested.percent) / 100);
  return Math.max(otherwise.always, Math.floor((total * otherwise.percent) / 100));
}

/**
 * @param requested - the limit of the settings
 * @param total - approximate number of objects at the destination
 * @returns how many may be deleted
 */
export function deleteLimit(requested: ObjectLimit | undefined, total: number): number {
  return limitOf(requested, total, DELETIONS);
}

/**
 * @param requested - the limit of the settings
 * @param total - approximate number of files at the destination
 * @returns of how many files the content may be replaced
 */
export function changeLimit(requested: ObjectLimit | undefined, total: number): number {
  return limitOf(requested, total, CHANGES);
}

function shown(option: string, requested: ObjectLimit | undefined, { percent }: Allowance): string {
  if (typeof requested === 'number') return `${option} ${requested} allows`;
  if (requested !== undefined) return `${option} ${requested.percent}% allows`;
  return `${percent}% of the copy, which is the limit without ${option}`;
}

/** The limit for messages: `--max-delete 10 allows`, or the default limit. */
export function shownLimit(requested: ObjectLimit | undefined): string {
  return shown('--max-delete', requested, DELETIONS);
}

/** The same for `--max-changed`. */
export function shownChangeLimit(requested: ObjectLimit | undefined): string {
  return shown('--max-changed', requested, CHANGES);
}

/** What is remembered of a destination that tells how much may be due for deletion. */
export interface KnownDeletions {
  readonly deletedUnder: string | undefined;
  /** Remembered objects that the source does not have any more. */
  readonly gone: number | undefined;
  /** Remembered files. */
  readonly filesBefore: number | undefined;
}

/**
 * Whether certainly so few deletions are due that the server need not be asked. If most remembered
 * files are gone, the folder may have been restored from a backup together with its vault. Then the
 * copy may hold files that were pushed later and are not remembered.
 */
export function isSurelyFew(settings: PushSettings, known: KnownDeletions): boolean {
  const { deletedUnder, gone, filesBefore = Infinity } = known;
  if (settings.maxDelete !== undefined || settings.paths.length > 0) return false;
  if (deletedUnder === undefined || gone === undefined || gone > DELETIONS.always) return false;
  if (gone * 2 > filesBefore) return false;
  return deletedUnder === deletionTerms(settings);
}
