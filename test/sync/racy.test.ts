// Which files a push remembers because rsync's quick check might not see their next edit.
import { describe, expect, it } from 'vitest';
import type { PushEntry } from '../../src/sync/push-entry.ts';
import { recentFiles } from '../../src/sync/racy.ts';
import { S_IFDIR, S_IFREG } from '../../src/tree/entry.ts';

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
