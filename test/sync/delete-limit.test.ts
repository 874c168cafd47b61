import { expect, it } from 'vitest';
import {
  changeLimit,
  deleteLimit,
  shownChangeLimit,
  shownLimit,
} from '../../src/sync/delete-limit.ts';

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

it('says where a limit comes from', () => {
  expect(shownLimit(undefined)).toBe('10% of the copy, which is the limit without --max-delete');
  expect(shownChangeLimit(undefined)).toContain('50% of the copy');
  expect(shownChangeLimit(3)).toBe('--max-changed 3 allows');
  expect(shownChangeLimit({ percent: 20 })).toBe('--max-changed 20% allows');
});
