// Which spellings of the temporary directory are tried, and after which answers.
import { expect, test } from 'vitest';
import { RemoteError } from '../../../../src/errors.ts';
import type { RunOutcome } from '../../../../src/sync/push/job/rsync-run.ts';
import { NO_TEMP_DIR, tempDirOf } from '../../../../src/sync/push/job/run-options.ts';
import { withTempDirSpelling } from '../../../../src/sync/push/runs/temp-dir-spelling.ts';

const job = { context: { destination: 'copies/one/', view: { isEncrypted: true } } };
const mirror = { context: { ...job.context, view: { isEncrypted: false } } };
const relative = 'gocryptfs.longname.ecsync-tmp.name';
const inFull = `copies/one/${relative}`;

const stored: RunOutcome = { exitCode: 0, stderrText: '', saidText: '' };
const failed = (saidText: string): RunOutcome => ({
  ...{ exitCode: 25, stderrText: saidText, saidText },
  error: new RemoteError('option-refused', saidText),
});
const refused = failed('rrsync: error: unsafe arg: --temp-dir');

/** What was tried, when a server gives these answers in order. */
async function tried(answers: readonly RunOutcome[], { tempDirChoice = 0, of = job } = {}) {
  const state = { tempDirChoice };
  const spellings: (string | undefined)[] = [];
  const last = await withTempDirSpelling(of, state, () => {
    spellings.push(tempDirOf(of, state));
    return Promise.resolve(answers[spellings.length - 1] ?? stored);
  });
  return { spellings, last, choice: state.tempDirChoice };
}

test('the first spelling that a server accepts is kept', async () => {
  expect(await tried([])).toMatchObject({ spellings: [relative], choice: 0 });
  expect(await tried([refused])).toMatchObject({ spellings: [relative, inFull], choice: 1 });
});

test('a server that refuses all of them goes without', async () => {
  const all = await tried([refused, refused]);
  expect(all).toMatchObject({ spellings: [relative, inFull, undefined], choice: NO_TEMP_DIR });
  const last = failed('temp-dir, although none was named');
  expect((await tried([refused, refused, last])).last).toBe(last);
});

test('what was accepted before is tried first', async () => {
  expect((await tried([], { tempDirChoice: 1 })).spellings).toEqual([inFull]);
});

test('any other failure is the outcome, and so is a refusal where there is no directory', async () => {
  const other = failed('rsync: command not found');
  expect(await tried([other])).toEqual({ spellings: [relative], last: other, choice: 0 });
  expect((await tried([refused], { of: mirror })).spellings).toEqual([undefined]);
});
