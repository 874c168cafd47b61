import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { fileFailure } from '../src/tree/file-failure.ts';
import { reasonOf, systemReason } from '../src/system-errors.ts';
import { errnoOf } from '../src/platform.ts';

// The system's reasons reach people in words, never as names such as ENOENT.

const folder = mkdtempSync(path.join(os.tmpdir(), 'ecsync-words-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

it('tells real errors in words', () => {
  const missing = path.join(folder, 'missing');
  expect(reasonOf(thrownBy(() => readFileSync(missing)))).toBe('no such file or directory');
  expect(reasonOf(thrownBy(() => readFileSync(folder)))).toBe('it is not a file');
  expect(reasonOf(thrownBy(() => readdirSync(import.meta.filename)))).toBe(
    'a part of the path is not a folder',
  );
});

it('tells of a refused connection, also where every address of a name refuses', async () => {
  const refused = await new Promise<Error>((resolve) => {
    connect({ host: 'localhost', port: 1 }).once('error', resolve);
  });
  expect(reasonOf(refused)).toBe('nothing listens there');
});

it('knows errors that Node has no name for', () => {
  const number = os.constants.errno.EDQUOT;
  const text = `Unknown system error ${-number}`;
  const error = Object.assign(new Error(`${text}: ${text}, write`), { code: text, errno: -number });
  expect(errnoOf(error)).toBe('EDQUOT');
  expect(reasonOf(error)).toBe('disk quota exceeded');
  expect(fileFailure(error, 'write-failed', 'cannot write', Buffer.from('a/b'))).toMatchObject({
    message: 'cannot write a/b: disk quota exceeded',
    hint: expect.stringContaining('quota') as string,
    facts: { errno: 'EDQUOT' },
  });
});

it('leaves errors that are not of the system their own words', () => {
  expect(systemReason(new Error('no system'))).toBeUndefined();
  expect(reasonOf(new Error('no system'))).toBe('no system');
});
