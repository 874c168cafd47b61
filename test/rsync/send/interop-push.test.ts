// Goal: a stock `rsync --server` accepts what we send, at every protocol, for every kind of entry.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../src/tree/entry.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { makeHardTree, noise } from '../../support/hard-tree.ts';
import {
  ARCHIVE,
  differences,
  listAll,
  pushFolder,
  scratchFolder,
} from '../../support/stock-rsync.ts';

const PROTOCOLS = [27, 28, 29, 30, 31, 32];

describe.each(PROTOCOLS)('push at protocol %i', (protocolMax) => {
  const options = { ...ARCHIVE, protocolMax };

  it('creates everything, then finds nothing to do, then sends only what changed', async () => {
    const source = makeHardTree();
    const destination = join(scratchFolder(), 'new');
    const first = await pushFolder(source, destination, { options });
    expect(first.stderr).toBe('');
    expect(first.code).toBe(0);
    expect(first.problems).toEqual([]);
    expect(first.messages).toEqual([]);
    if (protocolMax >= 31) {
      const { mtimeNs } = lstatSync(join(destination, 'a/x'), { bigint: true });
      expect(mtimeNs).toBe(1_600_000_000_250_000_000n);
    }
    expect(first.report.protocol).toBe(protocolMax);
    expect(first.report.checksumName).toBe(protocolMax < 30 ? 'md4' : 'xxh128');
    expect(differences(source, destination)).toBe('');

    const second = await pushFolder(source, destination, { options });
    expect(second.code).toBe(0);
    expect(second.sent).toEqual([]);
    expect(second.report.literalBytes).toBe(0);

    appendFileSync(join(source, 'big'), 'tail');
    chmodSync(join(source, 'a/b/c/deep'), 0o600);
    const third = await pushFolder(source, destination, { options });
    expect(third.code).toBe(0);
    expect(third.sent).toEqual(['big']);
    expect(third.report.literalBytes).toBeLessThan(2000);
    expect(third.report.matchedBytes).toBeGreaterThan(298_000);
    expect(differences(source, destination)).toBe('');
  });

  it('keeps hard links', async () => {
    const source = scratchFolder();
    mkdirSync(join(source, 'd'));
    writeFileSync(join(source, 'one'), 'shared');
    writeFileSync(join(source, 'single'), 'single');
    linkSync(join(source, 'one'), join(source, 'two'));
    linkSync(join(source, 'one'), join(source, 'd/three'));
    symlinkSync('to', join(source, 'sym'));
    linkSync(join(source, 'sym'), join(source, 'sym2'));
    const destination = scratchFolder();
    const result = await pushFolder(source, destination, {
      options: { ...options, hardLinks: true },
    });
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    const inode = (name: string): number => lstatSync(join(destination, name)).ino;
    expect(inode('two')).toBe(inode('one'));
    expect(inode('d/three')).toBe(inode('one'));
    expect(inode('single')).not.toBe(inode('one'));
    expect(readlinkSync(join(destination, 'sym2'))).toBe('to');
    expect(result.sent).toHaveLength(2);
  });

  it('compares by checksum, hard links included', async () => {
    const source = scratchFolder();
    writeFileSync(join(source, 'same'), 'same');
    writeFileSync(join(source, 'other'), 'abc');
    writeFileSync(join(source, 'empty'), '');
    linkSync(join(source, 'same'), join(source, 'zlink'));
    symlinkSync('x', join(source, 'sym'));
    const destination = scratchFolder();
    await pushFolder(source, destination, { options: { ...options, hardLinks: true } });
    // Same size, same time, different content: only a checksum shows it.
    const { mtime } = lstatSync(join(destination, 'other'));
    writeFileSync(join(destination, 'other'), 'abd');
    utimesSync(join(destination, 'other'), mtime, mtime);
    const blind = await pushFolder(source, destination, {
      options: { ...options, hardLinks: true },
    });
    expect(blind.sent).toEqual([]);
    const result = await pushFolder(source, destination, {
      options: { ...options, hardLinks: true, checksum: true },
    });
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    expect(result.sent).toEqual(['other']);
    expect(readFileSync(join(destination, 'other'), 'utf8')).toBe('abc');
  });

  it('only reports what it would do in a dry run', async () => {
    const source = scratchFolder();
    writeFileSync(join(source, 'f'), 'content');
    mkdirSync(join(source, 'd'));
    const destination = scratchFolder();
    writeFileSync(join(destination, 'extra'), '');
    const result = await pushFolder(source, destination, {
      options: { ...options, dryRun: true, deleteAfter: true },
    });
    expect(result.code).toBe(0);
    expect(result.sent).toEqual([]);
    expect(result.items.map((item) => item.split(' ')[1])).toContain('f');
    expect(differences(source, destination)).toContain('>f+++++++++ f');
    if (protocolMax >= 29) expect(result.deleted).toEqual(['extra']);
  });

  it('deletes after the transfer, but not what is protected', async () => {
    const source = scratchFolder();
    mkdirSync(join(source, 'd'));
    writeFileSync(join(source, 'kept'), 'x');
    const destination = scratchFolder();
    mkdirSync(join(destination, 'gone/sub'), { recursive: true });
    writeFileSync(join(destination, 'gone/sub/f'), '');
    writeFileSync(join(destination, 'extra'), '');
    writeFileSync(join(destination, 'safe'), '');
    mkdirSync(join(destination, 'd'));
    writeFileSync(join(destination, 'd/inner'), '');
    const result = await pushFolder(source, destination, {
      options: { ...options, deleteAfter: true },
      rules: [{ action: 'protect', pattern: Buffer.from('/safe') }],
    });
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    expect(result.messages).toEqual([]);
    expect(differences(source, destination)).toBe('*deleting   safe\n');
    if (protocolMax >= 29) {
      expect([...result.deleted].sort()).toEqual([
        'd/inner',
        'extra',
        'gone/',
        'gone/sub/',
        'gone/sub/f',
      ]);
    }
    if (protocolMax >= 31) {
      expect(result.report.deleted).toEqual({
        files: 3,
        dirs: 2,
        symlinks: 0,
        devices: 0,
        specials: 0,
      });
    }
  });

  it('finds blocks that were shifted and moved', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    const old = noise(400_000);
    writeFileSync(join(destination, 'f'), old);
    const moved = [Buffer.from('in front'), old.subarray(200_000), old.subarray(0, 200_000)];
    writeFileSync(join(source, 'f'), Buffer.concat(moved));
    const result = await pushFolder(source, destination, { options });
    expect(result.code).toBe(0);
    expect(result.report.literalBytes).toBeLessThan(3000);
    expect(differences(source, destination)).toBe('');
  });

  it('lets the server translate users and groups by name', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    writeFileSync(join(source, 'f'), '');
    chownSync(join(source, 'f'), 4321, 4322);
    const result = await pushFolder(source, destination, {
      options: { ...options, numericIds: false },
      names: { users: new Map([[4321, 'nobody']]), groups: new Map([[4322, 'daemon']]) },
    });
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    const id = (flag: string, name: string): number =>
      Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
    const { uid, gid } = lstatSync(join(destination, 'f'));
    expect([uid, gid]).toEqual([id('-u', 'nobody'), id('-g', 'daemon')]);
  });

  it('deletes nothing inside a folder that could not be listed', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    for (const folder of ['known', 'unknown']) {
      mkdirSync(join(source, folder));
      mkdirSync(join(destination, folder));
      writeFileSync(join(destination, folder, 'extra'), '');
    }
    const entries = await listAll<Entry>(new LocalTree(source));
    for (const entry of entries) {
      if (Buffer.from(entry.path).toString() === 'unknown') entry.contentUnknown = true;
    }
    await pushFolder(source, destination, { options: { ...options, deleteAfter: true }, entries });
    expect(existsSync(join(destination, 'unknown/extra'))).toBe(true);
    // Older protocols cannot protect a single folder: nothing at all is deleted.
    expect(existsSync(join(destination, 'known/extra'))).toBe(protocolMax < 30);
  });

  it('uses a folder for temporary files and links to an earlier copy', async () => {
    const source = scratchFolder();
    const base = scratchFolder();
    for (const folder of ['previous', 'current', 'temporary']) mkdirSync(join(base, folder));
    writeFileSync(join(source, 'same'), 'same');
    await pushFolder(source, join(base, 'previous'), { options });
    writeFileSync(join(source, 'new'), 'new');
    const result = await pushFolder(source, join(base, 'current'), {
      options: { ...options, tempDir: join(base, 'temporary'), linkDest: '../previous' },
    });
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    expect(result.sent).toEqual(['new']);
    const inode = (name: string): number => lstatSync(join(base, name, 'same')).ino;
    expect(inode('current')).toBe(inode('previous'));
  });

  it('deletes nothing if the source was not listed completely', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    writeFileSync(join(destination, 'extra'), '');
    await pushFolder(source, destination, {
      options: { ...options, deleteAfter: true },
      scanIncomplete: true,
    });
    expect(readFileSync(join(destination, 'extra'), 'utf8')).toBe('');
  });

  it('sends an empty list', async () => {
    const destination = scratchFolder();
    const result = await pushFolder(scratchFolder(), destination, { options, entries: [] });
    expect(result.code).toBe(0);
    expect(result.report.filesSent).toBe(0);
  });
});
