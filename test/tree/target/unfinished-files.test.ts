// Goal: files that another user puts in place of unfinished ones never pass for ours.
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FileError } from '../../../src/errors.ts';
import { UNFINISHED_FOLDER, UnfinishedFiles } from '../../../src/tree/target/unfinished-files.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'ecsync-unfinished-'));
});
afterEach(() => rmSync(root, { recursive: true }));

it.skipIf(process.getuid?.() !== 0)('a folder of another user is refused, and stays', () => {
  const folder = path.join(root, UNFINISHED_FOLDER);
  mkdirSync(folder, { mode: 0o777 });
  chownSync(folder, 65534, 65534);
  const locked: string[] = [];
  const takeLock = (file: string): { release(): void } => {
    locked.push(file);
    return { release: () => undefined };
  };
  expect(() => UnfinishedFiles.open(root, takeLock)).toThrow(FileError);
  expect([locked, existsSync(folder)]).toEqual([[], true]);

  chownSync(folder, 0, 0);
  UnfinishedFiles.open(root, takeLock).remove();
  expect([locked.length, existsSync(folder)]).toEqual([1, false]);
});
