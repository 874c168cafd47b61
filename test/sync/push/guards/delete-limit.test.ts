import { expect, it } from 'vitest';
import {
  changeLimit,
  deleteLimit,
  isSurelyFew,
  shownChangeLimit,
  shownLimit,
} from '../../../../src/sync/push/guards/delete-limit.ts';
import { defaultPushSettings } from '../../../../src/sync/push/source/push-settings.ts';
import { deletionTerms } from '../../../../src/sync/push/source/deletion-terms.ts';

it.each([
  [deleteLimit, undefined, 100, 50],
  [deleteLimit, undefined, 5000, 500],
  [changeLimit, undefined, 100, 500],
  [changeLimit, undefined, 5001, 2500],
  [changeLimit, 7, 5001, 7],
  [changeLimit, { percent: 0 }, 5001, 0],
  [changeLimit, { percent: 100 }, 5001, 5001],
] as const)('%s of %j at %i objects is %i', (limit, asked, total, expected) => {
  expect(limit(asked, total)).toBe(expected);
});

it('asks nobody only while most of what is remembered is there', () => {
  const settings = defaultPushSettings(
    { source: '/source', vaultDir: '/source/.ecsync' },
    { kind: 'local', path: '/copy', shown: '/copy' },
  );
  const deletedUnder = deletionTerms(settings);
  const isFew = (gone: number | undefined, filesBefore?: number): boolean =>
    isSurelyFew(settings, { deletedUnder, gone, filesBefore });
  expect([isFew(0), isFew(0, 0), isFew(20, 40), isFew(50, 1000)]).toEqual([true, true, true, true]);
  // A folder that was restored from a backup has nothing that is the same object.
  expect([isFew(21, 40), isFew(1, 1), isFew(51, 1000), isFew(undefined)]).not.toContain(true);
});

it('says where a limit comes from', () => {
  expect(shownLimit(undefined)).toBe('10% of the copy, which is the limit without --max-delete');
  expect(shownChangeLimit(undefined)).toContain('50% of the copy');
  expect(shownChangeLimit(3)).toBe('--max-changed 3 allows');
  expect(shownChangeLimit({ percent: 20 })).toBe('--max-changed 20% allows');
});
