// Goal: the command line equals the stock client's except for the two capabilities that we do not
// offer, it can be parsed again, and restricted shells accept it.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseServerArgs,
  serverArgs,
  type TransferOptions,
} from '../../../src/rsync/wire/options.ts';
import { ARCHIVE, scratchFolder } from '../../support/stock-rsync.ts';
import { transferFlags } from '../../support/transfer-flags.ts';

const word = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\0'));
const values = fc.record(
  {
    blockSize: fc.integer({ min: 1, max: 131_072 }),
    timeoutSec: fc.integer({ min: 1, max: 86_400 }),
    tempDir: word,
    linkDest: word,
    compareDest: word,
    copyDest: word,
    modifyWindowSec: fc.integer({ min: 1, max: 3601 }),
    sizeOnly: fc.constant(true),
    inPlace: fc.constant(true),
    sparse: fc.constant(true),
    measure: fc.constant(true),
    fsync: fc.constant(true),
    existing: fc.constant(true),
    ignoreExisting: fc.constant(true),
    reportSkipped: fc.constant(true),
  },
  { requiredKeys: [] },
);
const options: fc.Arbitrary<TransferOptions> = fc
  .tuple(transferFlags, values)
  .map(([some, more]) => ({ protocolMax: 32, ...some, ...more }));

/** The stock client's arguments for the same options: it runs our program instead of ssh. */
function stockWords(requested: TransferOptions): string[] {
  const folder = scratchFolder();
  const dump = join(folder, 'dump.sh');
  writeFileSync(dump, `#!/bin/sh\nshift 2\nprintf '%s\\n' "$@" > '${folder}/words'\nexit 1\n`);
  chmodSync(dump, 0o755);
  mkdirSync(join(folder, 'src'));
  const on = (yes: boolean, name: string): string[] => (yes ? [name] : []);
  const args = ['-r', '--no-inc-recursive', '-e', dump].concat(
    on(requested.links, '--links'),
    on(requested.perms, '--perms'),
    on(requested.times, '--times'),
    on(requested.owner, '--owner'),
    on(requested.group, '--group'),
    on(requested.devices, '--devices'),
    on(requested.specials, '--specials'),
    on(requested.hardLinks, '--hard-links'),
    on(requested.checksum, '--checksum'),
    on(requested.dryRun, '--dry-run'),
    on(requested.numericIds, '--numeric-ids'),
    on(requested.ignoreTimes, '--ignore-times'),
    requested.deleteAfter ? ['--delete-after', '-i'] : [],
    requested.blockSize === undefined ? [] : [`--block-size=${requested.blockSize}`],
    requested.timeoutSec === undefined ? [] : [`--timeout=${requested.timeoutSec}`],
    requested.modifyWindowSec === undefined ? [] : [`--modify-window=${requested.modifyWindowSec}`],
    on(requested.fsync === true, '--fsync'),
    on(requested.existing === true, '--existing'),
    on(requested.ignoreExisting === true, '--ignore-existing'),
    on(requested.reportSkipped === true, '--info=skip2'),
    on(requested.sizeOnly === true, '--size-only'),
    on(requested.inPlace === true, '--inplace'),
    on(requested.sparse === true, '--sparse'),
    on(requested.sparse === true && requested.inPlace === true, '--no-whole-file'),
    on(requested.measure === true, `--only-write-batch=${folder}/batch`),
  );
  spawnSync('rsync', [...args, join(folder, 'src/'), 'host:DEST/']);
  return readFileSync(join(folder, 'words'), 'utf8').trim().split('\n');
}

describe('serverArgs()', () => {
  it('is the stock command line without the capabilities i and I', () => {
    fc.assert(
      fc.property(
        transferFlags,
        fc.record({
          measure: fc.boolean(),
          fsync: fc.boolean(),
          existing: fc.boolean(),
          ignoreExisting: fc.boolean(),
          reportSkipped: fc.boolean(),
          sizeOnly: fc.boolean(),
          inPlace: fc.boolean(),
          sparse: fc.boolean(),
          modifyWindowSec: fc.integer({ min: 1, max: 3601 }),
        }),
        fc.integer({ min: 1, max: 131_072 }),
        (some, { measure: yes, ...skips }, blockSize) => {
          // The stock client writes no batch in a dry run.
          const measure = yes && !some.dryRun;
          const requested = {
            protocolMax: 32,
            ...some,
            ...skips,
            measure,
            blockSize,
            timeoutSec: 30,
          };
          const stock = stockWords(requested).map((text) => text.replace('.LsfxCIvu', '.LsfxCvu'));
          expect(serverArgs(requested, 'DEST')).toEqual(stock);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('gives directories as separate arguments and the destination with a slash', () => {
    const requested = { ...ARCHIVE, tempDir: '/t m', linkDest: '../prev' };
    expect(serverArgs(requested, 'a b')).toEqual([
      '--server',
      '-logDtpre.LsfxCvu',
      '--numeric-ids',
      '--temp-dir',
      '/t m',
      '--link-dest',
      '../prev',
      '.',
      'a b/',
    ]);
    expect(serverArgs(ARCHIVE, '').at(-1)).toBe('./');
    expect(serverArgs(ARCHIVE, '-x').at(-1)).toBe('./-x/');
    expect(serverArgs(ARCHIVE, '/').at(-1)).toBe('/');
  });

  it('is parsed again by parseServerArgs()', () => {
    fc.assert(
      fc.property(options, word, (requested, destination) => {
        const words = serverArgs(requested, destination);
        const parsed = parseServerArgs(words);
        expect(parsed.options).toEqual(requested);
        expect(serverArgs(parsed.options, parsed.destination)).toEqual(words);
      }),
      { examples: [[{ ...ARCHIVE, linkDest: '.' }, 'a']] },
    );
  });

  it('is accepted by rrsync', () => {
    const root = scratchFolder();
    mkdirSync(join(root, 'DEST'));
    mkdirSync(join(root, 'tmp'));
    const requested = {
      ...ARCHIVE,
      hardLinks: true,
      deleteAfter: true,
      fsync: true,
      timeoutSec: 30,
      blockSize: 4096,
    };
    const run = (words: string[]): string => {
      const { stderr } = spawnSync('rrsync', ['-no-lock', root], {
        input: '',
        encoding: 'utf8',
        env: { ...process.env, SSH_ORIGINAL_COMMAND: ['rsync', ...words].join(' ') },
      });
      return stderr;
    };
    // An accepted command starts rsync, which finds no client; a refused one does not start it.
    for (const more of [
      { tempDir: '/tmp', linkDest: '/DEST' },
      { inPlace: true, compareDest: '/' },
      { inPlace: true, sparse: true },
      { sizeOnly: true, copyDest: '/' },
    ]) {
      const accepted = run(serverArgs({ ...requested, ...more }, 'DEST'));
      expect(accepted).toContain('connection unexpectedly closed');
    }
    expect(run(['--server', '-K', '.', 'DEST/'])).not.toContain('connection unexpectedly closed');
  });
});

describe('parseServerArgs()', () => {
  it.each([
    [[]],
    [['--server']],
    [['--server', '-logDtpre.LsfxCvu', '.']],
    [['--server', '-logDtpr', '.', 'd/']],
    [['--server', '-zlogDtpre.LsfxCvu', '.', 'd/']],
    [['--server', '-re.LsfxCvu', '--append', '.', 'd/']],
    [['--server', '-re.LsfxCvu', '-Bx', '.', 'd/']],
    [['--server', '-re.LsfxCvu', '--temp-dir', '.', 'd/']],
    [['--server', '-re.LsfxCvu', '.', 'd/', 'e/']],
    [['--server', '--sender', '-re.LsfxCvu', '.', 'd/']],
  ])('refuses %j', (words) => {
    expect(() => parseServerArgs(words)).toThrow(
      expect.objectContaining({ code: 'server-words-invalid' }),
    );
  });
});
