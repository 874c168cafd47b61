// Against the real thing: copies that stock gocryptfs wrote are clean here, and whatever stock's own
// check complains about after random damage is found here too, at the same place.
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseConf } from '../../../src/gocryptfs/conf/config.ts';
import { unlockMasterkey } from '../../../src/gocryptfs/conf/keys.ts';
import { openLayout, type Layout } from '../../../src/gocryptfs/layout.ts';
import { fsck } from '../../../src/sync/check/fsck.ts';
import type { FsckFinding } from '../../../src/sync/copy/fsck-finding.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { DAMAGE_KINDS, damageCopy, Dice } from '../../support/copy-damage.ts';
import { pattern } from '../../support/format-fixtures.ts';
import {
  makeStockCopy,
  STOCK_PASSWORD,
  stockFsck,
  type StockComplaint,
  type StockCopy,
} from '../../support/stock-copy.ts';
import type { FsckSummary } from '../../../src/sync/check/fsck-summary.ts';

const work = mkdtempSync(path.join(tmpdir(), 'ecsync-fsck-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const CIPHERS: readonly (readonly [name: string, words: readonly string[], block: number])[] = [
  ['gcm', [], 4128],
  ['siv', ['-aessiv'], 4128],
  ['xchacha', ['-xchacha'], 4136],
];

function fill(mountPoint: string): void {
  const at = (...parts: readonly string[]) => path.join(mountPoint, ...parts);
  for (const folder of ['docs', 'docs/deep', 'photos', `docs/${'d'.repeat(190)}`]) {
    mkdirSync(at(folder));
  }
  for (const size of [0, 1, 100, 4095, 4096, 4097, 20_000, 60_000]) {
    writeFileSync(at('docs', `file ${size}`), pattern(size));
    writeFileSync(at('photos', `${'p'.repeat(180)} ${size}`), pattern(size));
  }
  writeFileSync(at('docs/deep/inner'), 'inner');
  writeFileSync(at(`docs/${'d'.repeat(190)}`, 'in a long folder'), pattern(30_000));
  symlinkSync('docs/deep', at('a link'));
  symlinkSync('x'.repeat(500), at('docs', 's'.repeat(200)));
  linkSync(at('docs/file 100'), at('photos/same as file 100'));
  execFileSync('mkfifo', [at('docs/pipe')]);
}

async function layoutOf({ cipherDir }: StockCopy): Promise<Layout> {
  const conf = parseConf(readFileSync(path.join(cipherDir, 'gocryptfs.conf')));
  return openLayout(conf, await unlockMasterkey(conf, Buffer.from(STOCK_PASSWORD)));
}

async function check(
  cipherDir: string,
  layout: Layout,
): Promise<{ readonly summary: FsckSummary; readonly findings: readonly FsckFinding[] }> {
  const findings: FsckFinding[] = [];
  const summary = await fsck(
    {
      openTree: (onProblem) => new LocalTree(cipherDir, { onProblem }),
      layout,
      isOnlyEcsync: false,
      allowHoles: true,
    },
    { finding: (finding) => findings.push(finding), progress: () => undefined },
    new AbortController().signal,
  );
  return { summary, findings };
}

const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('latin1');

/** Whether one of the findings is about what stock complains about. */
function covers(findings: readonly FsckFinding[], complaint: StockComplaint): boolean {
  return findings.some(({ plainPath, plainDirectory, cipherPath }) =>
    complaint.entry === undefined
      ? text(plainPath) === complaint.path
      : text(plainDirectory) === complaint.path &&
        path.basename(text(cipherPath) ?? '') === complaint.entry,
  );
}

const NAME_WORDS: readonly (readonly string[])[] = [
  [],
  ['-deterministic-names'],
  ['-plaintextnames'],
  ['-longnamemax', '100'],
];

describe('a copy that stock gocryptfs wrote is clean', () => {
  const kinds = CIPHERS.flatMap(([cipher, words]) =>
    NAME_WORDS.map((names) => [[cipher, ...names].join(' '), [...words, ...names]] as const),
  );
  test.each(kinds)('%s', async (name, words) => {
    const copy = await makeStockCopy(work, { name: `clean ${name}`, words }, fill);
    const { summary, findings } = await check(copy.cipherDir, await layoutOf(copy));
    expect(findings).toEqual([]);
    // 16 files of all sizes, two more, and the second name of one.
    const expected = { files: 19, folders: 5, links: 2, others: 1, exitCode: 0 };
    expect(summary).toMatchObject(expected);
  });
});

test('the holes of a sparse file are noted, with their block numbers', async () => {
  const copy = await makeStockCopy(work, { name: 'sparse', words: [] }, (mountPoint) => {
    const file = openSync(path.join(mountPoint, 'sparse'), 'w');
    ftruncateSync(file, 40_960);
    writeSync(file, 'end', 40_960);
    closeSync(file);
  });
  const { summary, findings } = await check(copy.cipherDir, await layoutOf(copy));
  expect(summary).toMatchObject({ exitCode: 0, damaged: 0, notes: 1 });
  expect(findings).toMatchObject([
    { severity: 'note', code: 'hole', blocks: { first: 0, last: 9 } },
  ]);
});

/** What the format cannot show: every byte that is left is one that the key wrote there. */
const SILENT = [
  'cut at the end of a block',
  'cut to the header',
  'cut to nothing',
  'two files exchanged',
  'a pipe in place of a file',
];
/** What this check finds and stock's does not. */
const STRICTER = ['cut inside the header', 'a .name file without its object'];

describe.each(CIPHERS)('random damage to a copy: %s', (cipher, words, block) => {
  const seed = Number(process.env['ECSYNC_TEST_SEED'] ?? randomInt(2 ** 31));

  test(`seed ${seed}: whatever stock complains about is found, at its place`, async () => {
    const copy = await makeStockCopy(work, { name: `base ${cipher}`, words }, fill);
    const layout = await layoutOf(copy);
    const dice = new Dice(seed);
    const rounds = DAMAGE_KINDS.flatMap((kind) => [kind, kind]);
    expect(rounds.length).toBeGreaterThanOrEqual(60);
    for (const kind of rounds) {
      const cipherDir = path.join(work, `damaged ${cipher}`);
      execFileSync('cp', ['-a', copy.cipherDir, cipherDir]);
      const done = `ECSYNC_TEST_SEED=${seed}, ${damageCopy(cipherDir, kind, { block, dice })}`;
      const stock = await stockFsck({ cipherDir, passfile: copy.passfile });
      const { summary, findings } = await check(cipherDir, layout);
      const shown = `${done}: ${findings.map(({ message }) => message).join('; ')}`;
      expect([0, 26], done).toContain(stock.code);
      if (stock.code === 26) expect(summary.exitCode, shown).toBe(26);
      for (const complaint of stock.complaints) {
        expect(covers(findings, complaint), `${shown}; stock: ${JSON.stringify(complaint)}`).toBe(
          true,
        );
      }
      if (STRICTER.includes(kind)) expect(summary.exitCode, shown).toBe(26);
      if (SILENT.includes(kind)) expect(summary.damaged, shown).toBe(0);
      rmSync(cipherDir, { recursive: true, force: true });
    }
  }, 240_000);
});
