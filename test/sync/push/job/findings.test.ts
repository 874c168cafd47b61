// What a push finds out: when it deletes, what needs the second deletion pass, what was requested.
import { expect, test } from 'vitest';
import { ITEM_REPORT_TIME, ITEM_TRANSFER } from '../../../../src/rsync/wire/constants.ts';
import { Findings, type Beginning } from '../../../../src/sync/push/job/findings.ts';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';

const [first, second] = ['first', 'second'].map((name): PushEntry => ({
  path: Buffer.from(name),
  mode: 0o100644,
  size: 1,
  mtimeSec: 1_600_000_000,
  mtimeNsec: 0,
  uid: 0,
  gid: 0,
})) as [PushEntry, PushEntry];

function findings(changes: Partial<Beginning> = {}): Findings {
  return new Findings({
    state: { prunePending: false },
    changed: [first, second],
    deletion: 'never',
    isCopyConfirmed: false,
    ...changes,
  });
}

test('a push that deletes at the end starts when all content is stored', () => {
  const found = findings({ deletion: 'at-end' });
  expect([found.isDeleting, found.deletesLater]).toEqual([false, true]);
  found.startDeleting();
  expect([found.isDeleting, found.deletesLater]).toEqual([true, false]);
});

test('a push that has spent its bytes does not delete later', () => {
  const found = findings({ deletion: 'at-end' });
  found.noteSpent();
  expect([found.isDeleting, found.deletesLater, found.isSpent]).toEqual([false, false, true]);
});

test('what could not be deleted needs the second pass', () => {
  const found = findings({ deletion: 'from-start' });
  expect(found.needsPrune).toBe(false);
  found.noteUndeletable();
  expect([found.needsPrune, found.isUndeletable]).toEqual([true, true]);
});

test('what an unfinished push has left is there from the start', () => {
  const found = findings({ state: { prunePending: true, sweepPending: true, halfFolders: true } });
  expect([found.needsPrune, found.isStaged, found.isResuming, found.halfFolders]).toEqual(
    Array(4).fill(true),
  );
  expect(found.isUndeletable).toBe(false);
});

test('a requested file is not waited for any more, whether it is sent now or later', () => {
  const found = findings();
  found.noteRequested(first, ITEM_TRANSFER | ITEM_REPORT_TIME);
  expect([...found.unrequested]).toEqual([second]);
  found.noteTooLarge(second);
  expect(found.unrequested.size).toBe(0);
  expect([...found.tooLarge]).toEqual([second]);
  expect([...found.otherTime]).toEqual([first]);
});
