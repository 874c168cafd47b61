// Goal: measuring counts exactly the bytes that the following push sends, and changes nothing, at
// every protocol; the count equals the stock client's.
import { execFileSync, spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { OpenFile } from '../../src/tree/entry.ts';
import { LocalTree } from '../../src/tree/local/local-tree.ts';
import { makeHardTree, noise } from '../support/hard-tree.ts';
import { ARCHIVE, listAll, pushFolder, pushTree, scratchFolder } from '../support/stock-rsync.ts';

/** The stat of every object in a folder. */
function listing(folder: string): string {
  const format = '%P %y %s %m %U:%G %T@ %C@ %i %l\\n';
  return execFileSync('find', [folder, '-printf', format]).toString('latin1');
}

/** A source and an earlier copy of it: changed, longer, shorter, new and unchanged files. */
function makePair(): { source: string; destination: string } {
  const source = makeHardTree();
  const destination = join(scratchFolder(), 'copy');
  execFileSync('cp', ['-a', source, destination]);
  const content = noise(200_000);
  writeFileSync(join(destination, 'inserted'), content);
  writeFileSync(join(source, 'inserted'), Buffer.concat([Buffer.from('front'), content]));
  writeFileSync(join(destination, 'edited'), content);
  writeFileSync(join(source, 'edited'), Buffer.from(content).fill(7, 100_000, 100_010));
  writeFileSync(join(destination, 'cut'), content);
  writeFileSync(join(source, 'cut'), content.subarray(0, 77_777));
  mkdirSync(join(source, 'fresh'));
  writeFileSync(join(source, 'fresh', 'new'), content.subarray(5, 5005));
  for (const name of ['inserted', 'edited', 'cut']) {
    execFileSync('touch', ['-d', '@1500000000', join(destination, name)]);
  }
  return { source, destination };
}

describe.each([27, 28, 29, 30, 31, 32])('measuring at protocol %i', (protocolMax) => {
  it('counts as the stock client does and as a push sends, and changes nothing', async () => {
    const { source, destination } = makePair();
    const options = { ...ARCHIVE, protocolMax, blockSize: 1000, deleteAfter: protocolMax >= 29 };
    const before = listing(destination);
    const measured = await pushFolder(source, destination, {
      options: { ...options, measure: true },
    });
    expect(measured.code).toBe(0);
    expect(measured.stderr).toBe('');
    expect(listing(destination)).toBe(before);
    const { literalBytes, matchedBytes } = measured.report;
    expect(literalBytes).toBeGreaterThan(5000);
    expect(matchedBytes).toBeGreaterThan(400_000);
    expect(measured.report.bytesSent).toBeLessThan(literalBytes);
    const stock = spawnSync(
      'rsync',
      [
        ...['-a', '--stats', '-B1000', '--no-W', '--numeric-ids'],
        `--only-write-batch=${join(scratchFolder(), 'batch')}`,
        `${source}/`,
        `${destination}/`,
      ],
      { encoding: 'utf8' },
    );
    const literal = /Literal data: ([0-9,]+)/.exec(stock.stdout)?.[1]?.replaceAll(',', '');
    expect(literalBytes).toBe(Number(literal));
    const pushed = await pushFolder(source, destination, { options });
    expect(pushed.report).toMatchObject({ literalBytes, matchedBytes });
    expect(pushed.items).toEqual(measured.items);
    expect(pushed.sent.sort()).toEqual(measured.sent.sort());
  });
});

describe('measuring', () => {
  it('reports a file that cannot be opened, and reads only the beginning of a file without a basis', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    for (const name of ['gone', 'whole']) writeFileSync(join(source, name), noise(300_000));
    const tree = new LocalTree(source);
    const read: number[] = [];
    const { report, problems, code } = await pushTree(tree, destination, {
      options: { ...ARCHIVE, measure: true },
      entries: await listAll(tree),
      open: async (entry): Promise<OpenFile> => {
        if (Buffer.from(entry.path).toString() === 'gone') throw new Error('no such file');
        const file = await tree.open(entry);
        return {
          size: file.size,
          positional: file.positional,
          close: () => file.close(),
          read: (offset, length) => {
            read.push(offset);
            return file.read(offset, length);
          },
        };
      },
    });
    expect(problems).toEqual(['read-failed gone']);
    expect(code).toBe(23);
    expect(report.literalBytes).toBe(300_000);
    expect(read.every((offset) => offset === 0)).toBe(true);
    expect(() => lstatSync(join(destination, 'whole'))).toThrow();
  });
});
