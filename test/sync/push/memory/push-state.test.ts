import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeState,
  emptyState,
  encodeState,
  type PushState,
} from '../../../../src/sync/push/memory/push-state.ts';
import { structureKey } from '../../../../src/sync/push/source/structure-key.ts';

const racyFile = fc.record({
  path: fc.base64String(),
  size: fc.nat(),
  mtimeSec: fc.integer(),
  mtimeNsec: fc.nat(999_999_999),
  ctimeMs: fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n)),
  doubtful: fc.boolean(),
});
const anyState: fc.Arbitrary<PushState> = fc.record({
  tempDirChoice: fc.integer({ min: -1, max: 3 }),
  refusesFsync: fc.constant(true),
  halfFolders: fc.constant(true),
  prunePending: fc.boolean(),
  foreignChecked: fc.boolean(),
  known: fc.array(fc.nat(2 ** 48 - 1)).map((keys) => new Set(keys)),
  racy: fc.array(racyFile),
  large: fc.record({
    token: fc.constantFrom('0', '0123456789ab'),
    isLinking: fc.boolean(),
    mixed: fc.array(fc.nat(2 ** 48 - 1)),
  }),
  aboveChoice: fc.nat(1),
  modifyWindowSec: fc.integer({ min: 1, max: 3 }),
  keepsNot: fc.record({ perms: fc.constant(true as const), owner: fc.constant(true as const) }),
});

describe('what a vault remembers of a destination', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        expect(decodeState(encodeState(state))).toEqual(state);
      }),
    );
  });

  it('is nothing at all when it is cut short or damaged', () => {
    const bytes = encodeState({ ...emptyState(), known: new Set([1, 2, 3]) });
    for (let length = 0; length < bytes.length; length++) {
      const decoded = decodeState(bytes.subarray(0, length));
      // Cut between two keys it is a smaller memory, which costs nothing but a little work.
      if (decoded !== undefined) expect(decoded.known.size).toBeLessThan(3);
    }
    expect(decodeState(undefined)).toBeUndefined();
    expect(decodeState(Buffer.from('garbage'))).toBeUndefined();
    expect(decodeState(Buffer.from([2, 0, 0, 0, 0x7b, 0x7d]))).toBeUndefined();
  });

  it('knows objects by 48 bits of their path and version', () => {
    const path = Buffer.from('a/gocryptfs.diriv');
    expect(structureKey(path)).toBe(structureKey(Buffer.from(path)));
    expect(structureKey(path)).not.toBe(structureKey(Buffer.from('b/gocryptfs.diriv')));
    expect(structureKey(path, Buffer.from('1'))).not.toBe(structureKey(path));
    expect(structureKey(path)).toBeLessThan(2 ** 48);
  });
});
