/** A push notices that the list of renamed files, which the last one had, has gone or is damaged. */
import { describe, expect, it } from 'vitest';
import {
  encodeMark,
  PushMarker,
  type PushMark,
} from '../../../../src/sync/push/memory/push-mark.ts';

const LEFT: PushMark = {
  ...{ endedMs: 1, isAll: true, perms: true, devices: true, specials: true },
  ...{ filesAreExact: true, hasBirths: true },
};

function begin(
  left: PushMark | undefined,
  births: Uint8Array | undefined,
  isDamaged = false,
  isContinued = false,
): string | undefined {
  const nothing = { read: () => undefined };
  const marker = new PushMarker({
    mark: { read: () => left && encodeMark(left), write: () => undefined },
    moves: {
      births: { read: () => births, isDamaged: () => isDamaged, isFirst: () => left === undefined },
      locations: nothing,
    },
  });
  return marker.begin({ isFounding: false, isContinued, hardLinks: false });
}

describe('births that are lost', () => {
  it('are missed when the last push had some', () => {
    expect(begin(LEFT, undefined)).toContain('list of renamed files');
    expect(begin({ ...LEFT, hasBirths: false }, undefined)).toBeUndefined();
    expect(begin(LEFT, Buffer.of(1))).toBeUndefined();
  });

  it('are missed when they are damaged, whatever is known of the last push', () => {
    expect(begin(undefined, undefined, true)).toContain('list of renamed files');
    expect(begin(undefined, undefined)).toBeUndefined();
  });

  it('may be missed by a vault that remembers nothing of a copy of its own', () => {
    expect(begin(undefined, undefined, false, true)).toContain('remembers nothing');
    expect(begin(LEFT, Buffer.of(1), false, true)).toBeUndefined();
  });
});
