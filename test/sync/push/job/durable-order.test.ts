// When a server is asked to wait for its disk: what is sent replaces what is removed.
import { describe, expect, it } from 'vitest';
import { beforeDeletions, beforeLinks } from '../../../../src/sync/push/job/durable-order.ts';
import { NO_MOVES, type Moves } from '../../../../src/sync/push/memory/moves.ts';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';
import { emptyState } from '../../../../src/sync/push/memory/push-state.ts';
import { parseDestination } from '../../../../src/vault/destination/destination.ts';

const founded = { ...emptyState(), known: new Set([1]) };
const moved: Moves = { ...NO_MOVES, left: new Set(['old']) };
const at = (destination: string, moves?: Moves, rsyncPath?: string) => ({
  settings: {
    destination: parseDestination(destination, { platform: 'linux', folder: '/' }),
    ...(rsyncPath !== undefined && { rsyncPath }),
  },
  ...(moves && { moves }),
});
const conf: PushEntry = {
  ...{ path: Buffer.from('gocryptfs.conf'), mode: 0o100400, size: 1, mtimeSec: 1, mtimeNsec: 0 },
  ...{ uid: 0, gid: 0, virtual: 'conf' },
};

describe('a server', () => {
  const waits = { fsync: true };
  it('waits for moved content when their old names go, and for their folders in any case', () => {
    expect(beforeDeletions(at('host:copy', moved), founded, true)).toEqual(waits);
    expect(beforeDeletions(at('host:copy', moved), founded, false)).toEqual({});
    expect(beforeLinks(at('host:copy', moved), founded, [])).toEqual(waits);
  });

  it('waits where what has moved is sent anew', () => {
    const anew = { ...NO_MOVES, isSentAnew: true };
    expect(beforeDeletions(at('host:copy', anew), founded, true)).toEqual(waits);
  });

  it('does not wait for what replaces nothing', () => {
    const gone = { ...NO_MOVES, gone: 5 };
    expect(beforeDeletions(at('host:copy', gone), founded, true)).toEqual({});
    expect(beforeDeletions(at('host:copy'), founded, true)).toEqual({});
    expect(beforeLinks(at('host:copy', NO_MOVES), emptyState(), [conf])).toEqual({});
  });

  it('waits for a conf that replaces another one', () => {
    expect(beforeLinks(at('host:copy', NO_MOVES), founded, [conf])).toEqual(waits);
  });

  it('is not asked again when it has refused, nor are local folders, which wait by themselves', () => {
    const refusing = { ...founded, refusesFsync: true };
    expect(beforeDeletions(at('host:copy', moved), refusing, true)).toEqual({});
    expect(beforeDeletions(at('/copy', moved), founded, true)).toEqual({});
    expect(beforeDeletions(at('/copy', moved, 'rsync'), founded, true)).toEqual(waits);
  });
});
