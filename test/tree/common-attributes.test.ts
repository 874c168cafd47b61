// Goal: equal attributes are one object, and different ones are not. Method: a property over many
// of them, and more kinds than the cache holds.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shareAttributes } from '../../src/tree/common-attributes.ts';

const few = fc.nat(2);
const attributesArb = fc.record({
  mode: few,
  uid: few,
  gid: few,
  dev: few,
  isExposed: fc.boolean(),
  isSparse: fc.boolean(),
  nlink: few,
});

it('are shared by all objects with equal ones', () => {
  fc.assert(
    fc.property(fc.array(attributesArb), (all) => {
      const shared = all.map((attributes) => shareAttributes({ ...attributes }));
      expect(shared).toEqual(all);
      expect(new Set(shared).size).toBe(new Set(all.map((one) => JSON.stringify(one))).size);
    }),
  );
});

it('stay unchanged when there are too many for the cache', () => {
  const kinds = Array.from({ length: 10_000 }, (_, uid) => ({
    mode: 1,
    uid,
    gid: 0,
    dev: 0,
    isExposed: false,
    isSparse: false,
    nlink: 1,
  }));
  expect(kinds.map((kind) => shareAttributes({ ...kind }))).toEqual(kinds);
});
