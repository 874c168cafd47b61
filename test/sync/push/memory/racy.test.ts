// Which files a push remembers because rsync's quick check might not see their next edit.
import { describe, expect, it } from 'vitest';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';
import { recentFiles, staleSuspects } from '../../../../src/sync/push/memory/racy.ts';
import {
  filesInDoubt,
  markBegun,
  markEnded,
  selectionTerms,
} from '../../../../src/sync/push/memory/unfinished.ts';
import { S_IFDIR, S_IFREG } from '../../../../src/tree/entry.ts';

const SNAPSHOT_MS = 5_000_400;

function entry(name: string, mtimeSec: number, { mode = S_IFREG, ctimeMs = 0 } = {}): PushEntry {
  const common = { mode, size: 10, mtimeSec, mtimeNsec: 7, uid: 0, gid: 0 };
  const path = Buffer.from(name);
  const plain = { ...common, path, dev: 3, ino: 1, nlink: 1, ctimeMs, birthtimeMs: 1 };
  return { ...common, path, plain };
}

const virtual: PushEntry = {
  path: Buffer.from('gocryptfs.diriv'),
  mode: S_IFREG,
  size: 16,
  mtimeSec: 5001,
  mtimeNsec: 0,
  uid: 0,
  gid: 0,
  virtual: 'diriv',
};

describe('files written about when a push looked', () => {
  const old = entry('old', 4998);
  const second = entry('second before', 4999);
  const entries = [
    entry('.', 5001, { mode: S_IFDIR }),
    virtual,
    old,
    second,
    entry('same second', 5000, { ctimeMs: SNAPSHOT_MS - 300 }),
    entry('just now', 5000, { ctimeMs: SNAPSHOT_MS - 3 }),
    entry('of the future', 9000),
  ];
  const remembered = (changed: readonly PushEntry[]) =>
    recentFiles(entries, SNAPSHOT_MS, new Set(changed)).map(({ path, doubtful }) => [
      Buffer.from(path, 'base64').toString(),
      doubtful,
    ]);

  it('are remembered, doubtful where the clock cannot tell', () => {
    expect(remembered([])).toEqual([
      ['second before', false],
      ['same second', false],
      ['just now', true],
      ['of the future', false],
    ]);
  });

  it('are remembered once, with those that changed while they were read', () => {
    expect(remembered([old, second])).toEqual([
      ['old', true],
      ['second before', true],
      ['same second', false],
      ['just now', true],
      ['of the future', false],
    ]);
  });
});

describe('a file whose old time a program sets again after each write', () => {
  const before = entry('old time', 100, { ctimeMs: SNAPSHOT_MS - 900 });
  const after = entry('old time', 100, { ctimeMs: SNAPSHOT_MS + 50 });

  it('is sent again when a push met it just after a write', () => {
    const remembered = recentFiles([before], SNAPSHOT_MS, new Set());
    expect(staleSuspects([before], remembered, new Set())).toEqual(new Set());
    expect(staleSuspects([after], remembered, new Set())).toEqual(new Set([after]));
  });
});

describe('the mark of a push that did not end', () => {
  const touched = entry('touched', 100, { ctimeMs: SNAPSHOT_MS + 50 });
  const untouched = entry('untouched', 100, { ctimeMs: SNAPSHOT_MS - 9000 });
  const whole = { paths: [], rules: [] };
  const part = { paths: ['folder'], rules: [] };
  const mark = markBegun(undefined, { startedMs: SNAPSHOT_MS, terms: selectionTerms(whole) });

  it('puts files in doubt that have changed since then', () => {
    expect(filesInDoubt([touched, untouched], mark, selectionTerms(whole))).toEqual([touched]);
  });

  it('stands until a push has ended that lists as much, and is not looked at twice', () => {
    const afterPart = markEnded(mark, selectionTerms(part));
    expect(filesInDoubt([touched], afterPart, selectionTerms(part))).toEqual([]);
    expect(filesInDoubt([touched], afterPart, selectionTerms(whole))).toEqual([touched]);
    expect(markEnded(afterPart, selectionTerms(whole))).toBeUndefined();
  });

  it('goes back to the earlier of two pushes', () => {
    const again = markBegun(mark, { startedMs: SNAPSHOT_MS + 60_000, terms: selectionTerms(part) });
    expect(again).toMatchObject({ sinceMs: SNAPSHOT_MS });
    expect(markEnded(again, selectionTerms(part))).toMatchObject({ open: [selectionTerms(whole)] });
  });
});
