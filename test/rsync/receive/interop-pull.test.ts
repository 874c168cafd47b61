// Goal: we fetch everything from a stock `rsync --server --sender`, at every protocol, for every
// kind of entry, and existing data is not transferred again.
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRegularFile } from '../../../src/tree/entry.ts';
import type { FlistEntry } from '../../../src/rsync/flist/decode.ts';
import { makeHardTree, noise } from '../../support/hard-tree.ts';
import { ARCHIVE, differences, scratchFolder } from '../../support/stock-rsync.ts';
import { pullFolder } from '../../support/stock-sender.ts';
import { buildShape, randomShape } from './support.ts';

const PROTOCOLS = [27, 28, 29, 30, 31, 32];

const nameOf = (entry: FlistEntry): string => Buffer.from(entry.path).toString();
const idOf = (flag: string, name: string): number =>
  Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));

describe.each(PROTOCOLS)('pull at protocol %i', (protocolMax) => {
  const options = { ...ARCHIVE, protocolMax };

  it('creates everything, then finds nothing to do, then fetches only what changed', async () => {
    const source = makeHardTree();
    for (const size of [1, 699, 700, 701, 1400, 32_768, 32_769, 490_001]) {
      fs.writeFileSync(join(source, `size ${size}`), noise(size, size));
    }
    const destination = scratchFolder();
    const first = await pullFolder(source, destination, { options });
    expect(first).toMatchObject({ stderr: '', code: 0, problems: [], messages: [] });
    expect(first.outcome).toEqual({ exitCode: 0 });
    expect(first.report).toMatchObject({
      protocol: protocolMax,
      checksumName: protocolMax < 30 ? 'md4' : 'xxh128',
      filesReceived: first.stored.length,
      ioError: 0,
    });
    expect(first.report.statistics?.bytesWritten).toBeGreaterThan(800_000);
    if (protocolMax >= 31) {
      const { mtimeNs } = fs.lstatSync(join(destination, 'a/x'), { bigint: true });
      expect(mtimeNs).toBe(1_600_000_000_250_000_000n);
    }
    expect(differences(source, destination)).toBe('');

    const second = await pullFolder(source, destination, { options });
    expect(second.code).toBe(0);
    expect(second.items).toEqual([]);
    expect(second.stored).toEqual([]);

    fs.appendFileSync(join(source, 'big'), 'tail');
    fs.chmodSync(join(source, 'a/b/c/deep'), 0o600);
    const third = await pullFolder(source, destination, { options });
    expect(third.code).toBe(0);
    expect(third.stored).toEqual(['big']);
    expect(third.report.literalBytes).toBeLessThan(2000);
    expect(third.report.matchedBytes).toBeGreaterThan(298_000);
    expect(third.report.bytesReceived).toBeLessThan(10_000);
    expect(differences(source, destination)).toBe('');
  });

  it('keeps hard links', async () => {
    const source = scratchFolder();
    fs.mkdirSync(join(source, 'd'));
    fs.writeFileSync(join(source, 'one'), 'shared');
    fs.writeFileSync(join(source, 'single'), 'single');
    fs.linkSync(join(source, 'one'), join(source, 'two'));
    fs.linkSync(join(source, 'one'), join(source, 'd/three'));
    fs.symlinkSync('to', join(source, 'sym'));
    fs.linkSync(join(source, 'sym'), join(source, 'sym2'));
    const destination = scratchFolder();
    const linked = { ...options, hardLinks: true };
    const result = await pullFolder(source, destination, { options: linked });
    expect(result).toMatchObject({ stderr: '', code: 0, problems: [] });
    const inode = (name: string): number => fs.lstatSync(join(destination, name)).ino;
    expect(inode('two')).toBe(inode('one'));
    expect(inode('d/three')).toBe(inode('one'));
    expect(inode('single')).not.toBe(inode('one'));
    expect(fs.readlinkSync(join(destination, 'sym2'))).toBe('to');
    expect(result.stored).toHaveLength(2);
    const again = await pullFolder(source, destination, { options: linked });
    expect(again.items).toEqual([]);
  });

  it('compares by checksum', async () => {
    const source = scratchFolder();
    fs.writeFileSync(join(source, 'same'), 'same');
    fs.writeFileSync(join(source, 'other'), 'abc');
    fs.writeFileSync(join(source, 'empty'), '');
    fs.symlinkSync('x', join(source, 'sym'));
    const destination = scratchFolder();
    await pullFolder(source, destination, { options });
    const { mtime } = fs.lstatSync(join(destination, 'other'));
    fs.writeFileSync(join(destination, 'other'), 'abd');
    fs.utimesSync(join(destination, 'other'), mtime, mtime);
    expect((await pullFolder(source, destination, { options })).stored).toEqual([]);
    const result = await pullFolder(source, destination, {
      options: { ...options, checksum: true, hardLinks: true },
    });
    expect(result).toMatchObject({ stderr: '', code: 0, stored: ['other'] });
    expect(fs.readFileSync(join(destination, 'other'), 'utf8')).toBe('abc');
  });

  it('only reports what it would do in a dry run', async () => {
    const source = makeHardTree();
    const destination = scratchFolder();
    fs.writeFileSync(join(destination, 'extra'), '');
    const dry = await pullFolder(source, destination, {
      options: { ...options, dryRun: true, deleteAfter: true },
    });
    expect(dry).toMatchObject({ code: 0, stored: [], problems: [], deleted: ['extra'] });
    expect(fs.readdirSync(destination)).toEqual(['extra']);
    const real = await pullFolder(source, destination, {
      options: { ...options, deleteAfter: true },
    });
    expect(real.items).toEqual(dry.items);
    expect(real.deleted).toEqual(dry.deleted);
    expect(differences(source, destination)).toBe('');
  });

  it('deletes objects that the server does not have, except protected ones', async () => {
    const source = scratchFolder();
    fs.mkdirSync(join(source, 'd'));
    fs.writeFileSync(join(source, 'kept'), 'x');
    const destination = scratchFolder();
    fs.mkdirSync(join(destination, 'gone/sub'), { recursive: true });
    for (const name of ['gone/sub/f', 'extra', 'safe']) {
      fs.writeFileSync(join(destination, name), '');
    }
    const result = await pullFolder(source, destination, {
      options: { ...options, deleteAfter: true },
      receiverRules: [{ action: 'protect', pattern: Buffer.from('/safe') }],
    });
    expect(result).toMatchObject({ stderr: '', code: 0, problems: [] });
    expect([...result.deleted].sort()).toEqual(['extra', 'gone/', 'gone/sub/', 'gone/sub/f']);
    expect(result.report.deleted).toMatchObject({ files: 2, directories: 2 });
    expect(differences(source, destination)).toBe('*deleting   safe\n');
  });

  it('finds blocks that were shifted and moved', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    const old = noise(400_000);
    fs.writeFileSync(join(destination, 'f'), old);
    const moved = [Buffer.from('in front'), old.subarray(200_000), old.subarray(0, 200_000)];
    fs.writeFileSync(join(source, 'f'), Buffer.concat(moved));
    const result = await pullFolder(source, destination, { options });
    expect(result.report.literalBytes).toBeLessThan(3000);
    expect(result.report.bytesReceived).toBeLessThan(10_000);
    expect(differences(source, destination)).toBe('');
    const whole = await pullFolder(source, scratchFolder(), { options, wholeFile: true });
    expect(whole.report).toMatchObject({ literalBytes: 400_008, matchedBytes: 0 });
  });

  it('translates users and groups by name', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    fs.writeFileSync(join(source, 'f'), '');
    fs.chownSync(join(source, 'f'), idOf('-u', 'nobody'), idOf('-g', 'daemon'));
    const result = await pullFolder(source, destination, {
      options: { ...options, numericIds: false },
      localDefaults: {
        users: new Map([['root', 0], ['nobody', 4321]]), // prettier-ignore
        groups: new Map([['daemon', 4322]]),
      },
    });
    expect(result).toMatchObject({ stderr: '', code: 0, problems: [] });
    const { uid, gid } = fs.lstatSync(join(destination, 'f'));
    expect([uid, gid]).toEqual([4321, 4322]);
  });

  it('fetches only wanted files, and can list without fetching anything', async () => {
    const source = makeHardTree();
    const all: string[] = [];
    const destination = scratchFolder();
    const listed = await pullFolder(source, destination, {
      options,
      onList: (entries) => void all.push(...entries.map(nameOf)),
      wants: () => false,
    });
    expect(listed).toMatchObject({ code: 0, items: [], stored: [], problems: [] });
    expect(all).toHaveLength(listed.report.listed);
    expect(all).toContain('a/b/c/deep');
    expect(fs.readdirSync(destination)).toEqual([]);
    const some = await pullFolder(source, destination, {
      options: { ...options, hardLinks: true },
      wants: (entry) => /^(\.|a|a\/.*)$/.test(nameOf(entry)),
    });
    expect(some).toMatchObject({ code: 0, problems: [] });
    expect(fs.readdirSync(destination)).toEqual(['a']);
    expect(differences(join(source, 'a'), join(destination, 'a'))).toBe('');
  });

  it('hides files on the server by rules', async () => {
    const source = makeHardTree();
    const destination = scratchFolder();
    const result = await pullFolder(source, destination, {
      options,
      senderRules: [
        { action: 'show', pattern: Buffer.from('/a/x') },
        { action: 'hide', pattern: Buffer.from('/a/*') },
        { action: 'hide', pattern: Buffer.from('big') },
        { action: 'hide', pattern: Buffer.from('empty/') },
      ],
    });
    expect(result).toMatchObject({ code: 0, problems: [] });
    expect(fs.readdirSync(join(destination, 'a'))).toEqual(['x']);
    expect(fs.existsSync(join(destination, 'big'))).toBe(false);
    expect(fs.existsSync(join(destination, 'empty'))).toBe(false);
  });

  it('accepts several paths, including files', async () => {
    const source = makeHardTree();
    const destination = scratchFolder();
    const paths = [`${source}/a`, `${source}/a-b/`, `${source}/big`, `${source}/-dash`];
    const result = await pullFolder(source, destination, { options, paths });
    expect(result).toMatchObject({ stderr: '', code: 0, problems: [] });
    expect(fs.readdirSync(destination).sort()).toEqual(['-dash', 'a', 'big', 'f']);
    const named = await pullFolder(source, scratchFolder(), { options, paths: paths.slice(2) });
    expect(named.stored.sort()).toEqual(['-dash', 'big']);
  });

  it('replaces objects of other types, except folders in the way that it may not delete', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    fs.writeFileSync(join(source, 'file'), 'f');
    fs.mkdirSync(join(source, 'folder'));
    fs.writeFileSync(join(source, 'folder/in'), 'i');
    fs.symlinkSync('file', join(source, 'link'));
    fs.writeFileSync(join(source, 'blocked'), 'b');
    fs.symlinkSync('/etc', join(destination, 'folder'));
    fs.mkdirSync(join(destination, 'file'));
    fs.mkdirSync(join(destination, 'link'));
    fs.mkdirSync(join(destination, 'blocked'));
    fs.writeFileSync(join(destination, 'blocked/full'), '');
    const result = await pullFolder(source, destination, { options });
    expect(result.problems).toEqual(['write-failed blocked']);
    expect(fs.existsSync('/etc/in')).toBe(false);
    await pullFolder(source, destination, { options: { ...options, deleteAfter: true } });
    expect(differences(source, destination)).toBe('');
  });

  it('of a missing folder fails with a clear error', async () => {
    const missing = join(scratchFolder(), 'missing');
    const result = await pullFolder(missing, scratchFolder(), { options });
    expect(result.code).toBe(23);
    expect(result.report.listed).toBe(0);
    expect(result.outcome.error).toMatchObject({ code: 'source-missing', exitCode: 5 });
  });

  it('of an empty folder is complete', async () => {
    const source = scratchFolder();
    const result = await pullFolder(source, scratchFolder(), { options });
    expect(result).toMatchObject({ code: 0, outcome: { exitCode: 0 } });
    expect(result.report.listed).toBe(1);
  });
});

describe('pull', () => {
  it('makes any folder equal to any other', async () => {
    await fc.assert(
      fc.asyncProperty(
        randomShape,
        randomShape,
        fc.constantFrom(...PROTOCOLS),
        async (wanted, present, protocolMax) => {
          const root = fs.mkdtempSync(join('/tmp', 'ecsync-pull-'));
          const [source, destination] = [join(root, 's'), join(root, 'd')];
          fs.mkdirSync(source);
          fs.mkdirSync(destination);
          buildShape(source, wanted);
          buildShape(destination, present);
          const options = { ...ARCHIVE, protocolMax, checksum: true, deleteAfter: true };
          const result = await pullFolder(source, destination, { options });
          expect(result).toMatchObject({ code: 0, problems: [] });
          expect(differences(source, destination)).toBe('');
          fs.rmSync(root, { recursive: true });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is served by a read-only rrsync, and refused by a write-only one', async () => {
    const root = scratchFolder();
    execFileSync('cp', ['-a', makeHardTree(), join(root, 'copy')]);
    for (const name of ['fifo', 'null', 'zero', 'block']) fs.rmSync(join(root, 'copy', name));
    const shell = (mode: string): string => {
      const program = join(scratchFolder(), 'shell');
      const script = `#!/bin/sh\nexport SSH_ORIGINAL_COMMAND="rsync $*"\nexec rrsync ${mode} '${root}'\n`;
      fs.writeFileSync(program, script, { mode: 0o755 });
      return program;
    };
    const options = { ...ARCHIVE, hardLinks: true, timeoutSec: 30 };
    const destination = scratchFolder();
    const program = shell('-ro');
    const result = await pullFolder('', destination, { options, paths: ['copy/'], program });
    expect(result).toMatchObject({ code: 0, stderr: '', problems: [] });
    expect(differences(join(root, 'copy'), destination)).toBe('');
    const failure: unknown = await pullFolder('', scratchFolder(), {
      options,
      paths: ['copy/'],
      program: shell('-wo'),
    }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'no-greeting' });
  });

  it('keeps times, permissions and owners only if the options say so', async () => {
    const source = scratchFolder();
    fs.writeFileSync(join(source, 'f'), 'f', { mode: 0o777 });
    fs.utimesSync(join(source, 'f'), 1, 1);
    fs.symlinkSync('f', join(source, 'l'));
    fs.chownSync(join(source, 'f'), 77, 78);
    const destination = scratchFolder();
    const plain = { links: false, perms: false, times: false, owner: false, group: false };
    const result = await pullFolder(source, destination, { options: { ...ARCHIVE, ...plain } });
    expect(result).toMatchObject({ code: 0, problems: [] });
    const { mode, uid, gid, mtimeMs } = fs.lstatSync(join(destination, 'f'));
    expect({ mode: mode & 0o777, uid, gid }).toEqual({ mode: 0o755, uid: 0, gid: 0 });
    expect(mtimeMs).toBeGreaterThan(1_600_000_000_000);
    expect(fs.existsSync(join(destination, 'l'))).toBe(false);
  });

  it('reports progress, and an item for every stored file', async () => {
    const source = makeHardTree();
    let most = 0;
    const { items, stored } = await pullFolder(source, scratchFolder(), {
      onProgress: (entry, bytes) => {
        expect(isRegularFile(entry)).toBe(true);
        most = Math.max(most, bytes);
      },
    });
    expect(most).toBe(300_000);
    const transfers = items.filter((item) => item.startsWith('a000 ')).map((item) => item.slice(5));
    expect([...transfers].sort()).toEqual([...stored].sort());
  });
});
