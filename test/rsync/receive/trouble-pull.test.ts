// Goal: a failure of a file, a disk or a connection during a pull from a stock server is reported,
// affects only that file, and leaves existing objects unchanged.
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LISTING, senderArgs } from '../../../src/rsync/wire/options.ts';
import { pull } from '../../../src/rsync/receive/pull.ts';
import { readFiles, type ReadFilesPlan } from '../../../src/rsync/receive/read-files.ts';
import { judge } from '../../../src/rsync/outcome/status.ts';
import { makeHardTree, noise } from '../../support/hard-tree.ts';
import {
  ARCHIVE,
  differences,
  scratchFolder,
  startStockServer,
} from '../../support/stock-rsync.ts';
import { failureOf, pullFolder, storeAt } from '../../support/stock-sender.ts';

const PROTOCOLS = [27, 29, 30, 31, 32];
const MIB = 1024 * 1024;

/** A program that runs rsync as a user who owns nothing. */
function asNobody(): string {
  const program = join(scratchFolder(), 'rsync-as-nobody');
  fs.chmodSync(join(program, '..'), 0o755);
  const script = '#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups rsync "$@"\n';
  fs.writeFileSync(program, script, { mode: 0o755 });
  return program;
}

/** A folder on a separate file system that is soon full. */
function smallDisk(mib: number): string {
  const folder = scratchFolder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'none', folder]);
  onTestFinished(() => void execFileSync('umount', [folder]));
  return folder;
}

describe.each(PROTOCOLS)('at protocol %i', (protocolMax) => {
  const options = { ...ARCHIVE, protocolMax };

  it('a file that vanishes after the list is reported, and the others arrive', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    for (const name of ['a', 'b', 'c']) fs.writeFileSync(join(source, name), name);
    fs.writeFileSync(join(destination, 'b'), 'as it was');
    const result = await pullFolder(source, destination, {
      options,
      onList: () => fs.rmSync(join(source, 'b')),
    });
    expect(result.stored).toEqual(['a', 'c']);
    expect(result.problems).toEqual([protocolMax < 30 ? 'not-sent b' : 'vanished b']);
    expect(result.outcome).toMatchObject({ exitCode: 24, error: { code: 'files-vanished' } });
    expect(fs.readFileSync(join(destination, 'b'), 'utf8')).toBe('as it was');
  });

  it('a file that the server may not read is reported, and nothing is deleted', async () => {
    const source = scratchFolder();
    fs.chmodSync(source, 0o755);
    fs.writeFileSync(join(source, 'open'), 'open');
    fs.writeFileSync(join(source, 'closed'), 'closed', { mode: 0o600 });
    fs.mkdirSync(join(source, 'dark'), { mode: 0o700 });
    const destination = scratchFolder();
    fs.mkdirSync(join(destination, 'dark'));
    fs.writeFileSync(join(destination, 'dark/kept'), '');
    fs.writeFileSync(join(destination, 'extra'), '');
    const result = await pullFolder(source, destination, {
      options: { ...options, deleteAfter: true },
      program: asNobody(),
    });
    expect(result.stored).toEqual(['open']);
    expect(result.problems).toEqual(['not-sent closed']);
    expect(result.outcome).toMatchObject({ exitCode: 23, error: { code: 'remote-partial' } });
    expect(result.report.deletionSkipped).toBe(true);
    expect(fs.existsSync(join(destination, 'dark/kept'))).toBe(true);
    expect(fs.existsSync(join(destination, 'extra'))).toBe(true);
  });

  it('a file that changes after the list arrives with its new content', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    fs.writeFileSync(join(source, 'f'), 'short');
    fs.writeFileSync(join(source, 'g'), noise(100_000));
    const result = await pullFolder(source, destination, {
      options,
      onList: () => {
        fs.appendFileSync(join(source, 'f'), noise(50_000));
        fs.truncateSync(join(source, 'g'), 10);
      },
    });
    expect(result).toMatchObject({ code: 0, problems: [] });
    expect(differences(source, destination, '-rc')).toBe('');
  });

  it('a basis that changes meanwhile costs only a second request', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    const old = noise(300_000);
    fs.writeFileSync(join(destination, 'f'), old);
    fs.writeFileSync(join(source, 'f'), Buffer.concat([old, Buffer.from('tail')]));
    let changed = false;
    const result = await pullFolder(source, destination, {
      options,
      onProgress: () => {
        if (changed) return;
        changed = true;
        fs.writeFileSync(join(destination, 'f'), noise(300_000, 2));
      },
    });
    expect(result).toMatchObject({ code: 0, problems: [], stored: ['f'] });
    // The folder's own time differs if a second ended between the two.
    expect(result.items.filter((item) => item.endsWith(' f'))).toHaveLength(1);
    expect(differences(source, destination, '-rc')).toBe('');
  });

  it('a full disk ends the pull, and the old version stays', async () => {
    const source = scratchFolder();
    const destination = smallDisk(2);
    fs.writeFileSync(join(source, 'a'), noise(5 * MIB));
    for (let i = 0; i < 200; i++) fs.writeFileSync(join(source, `f${i}`), noise(100_000, i));
    fs.writeFileSync(join(destination, 'a'), 'old');
    const error = await failureOf(pullFolder(source, destination, { options }));
    expect(error).toMatchObject({ code: 'write-failed', facts: { errno: 'ENOSPC' } });
    expect(fs.readFileSync(join(destination, 'a'), 'utf8')).toBe('old');
    expect(fs.readdirSync(destination).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('a killed server is a lost connection, and no partial file stays', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    fs.writeFileSync(join(source, 'big'), noise(20 * MIB));
    fs.writeFileSync(join(destination, 'big'), 'old');
    const server = startStockServer(senderArgs(options, [`${source}/`]));
    const store = storeAt(destination);
    const error = await failureOf(
      pull(server, {
        options,
        paths: [`${source}/`],
        store,
        onProgress: (_entry, bytes) => {
          if (bytes > 5 * MIB) server.kill();
        },
      }),
    );
    store.close();
    const { code, signal, stderr } = await server.ended;
    expect(judge(error, { code, signal }, stderr, { direction: 'pull' }).error?.code).toBe(
      'connection-lost',
    );
    expect(fs.readdirSync(destination)).toEqual(['big']);
    expect(fs.readFileSync(join(destination, 'big'), 'utf8')).toBe('old');
  });

  it('an interruption ends both sides, and no partial file stays', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    fs.writeFileSync(join(source, 'big'), noise(20 * MIB));
    const interruption = new AbortController();
    const error = await failureOf(
      pullFolder(source, destination, {
        options,
        signal: interruption.signal,
        onProgress: (_entry, bytes) => {
          if (bytes > 5 * MIB) interruption.abort();
        },
      }),
    );
    expect(error).toMatchObject({ code: 'interrupted', exitCode: 130 });
    expect(fs.readdirSync(destination)).toEqual([]);
  });

  it('an interruption between two entries ends the walk', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    for (let i = 0; i < 300; i++) fs.mkdirSync(join(source, `d${i}`));
    const interruption = new AbortController();
    let items = 0;
    const error = await failureOf(
      pullFolder(source, destination, {
        options,
        signal: interruption.signal,
        onItem: () => {
          if (++items === 10) interruption.abort();
        },
      }),
    );
    expect(error).toMatchObject({ code: 'interrupted' });
    expect(fs.readdirSync(destination).length).toBeLessThan(20);
  });

  it('an error of onList ends the pull before anything is written', async () => {
    const source = makeHardTree();
    const destination = scratchFolder();
    const refusal = new Error('not this list');
    const error = await failureOf(
      pullFolder(source, destination, {
        options,
        onList: () => Promise.reject(refusal),
      }),
    );
    expect(error).toBe(refusal);
    expect(fs.readdirSync(destination)).toEqual([]);
  });

  it('pipes of a few bytes do not block either side', async () => {
    const source = scratchFolder();
    const destination = scratchFolder();
    // Requests with many sums in one direction, much content in the other.
    for (let i = 0; i < 300; i++) {
      fs.writeFileSync(join(source, `file ${i}`), noise(30_000, i));
      fs.writeFileSync(join(destination, `file ${i}`), noise(30_000, i + 1000));
    }
    const requested = { ...options, blockSize: 100, ignoreTimes: true };
    const server = startStockServer(senderArgs(requested, [`${source}/`]));
    const input = new PassThrough({ highWaterMark: 1 });
    const output = new PassThrough({ highWaterMark: 1 });
    server.input.pipe(input);
    output.pipe(server.output);
    const store = storeAt(destination);
    const report = await pull(
      { input, output },
      { options: requested, paths: [`${source}/`], store, idleTimeoutMs: 20_000 },
    );
    store.close();
    output.end();
    expect((await server.ended).code).toBe(0);
    expect(report).toMatchObject({ filesReceived: 300, literalBytes: 9_000_000, problems: 0 });
    expect(differences(source, destination)).toBe('');
  });
});

describe('readFiles', () => {
  async function read(
    folder: string,
    changes: Partial<ReadFilesPlan>,
  ): Promise<Awaited<ReturnType<typeof readFiles>> & { code: number | null }> {
    const { options = LISTING, paths = [`${folder}/`] } = changes;
    const server = startStockServer(senderArgs(options, paths));
    const result = await readFiles(server, { options, paths, lengthMax: 1000, ...changes });
    server.output.end();
    return { ...result, code: (await server.ended).code };
  }
  const named = (pattern: RegExp) => (entry: { path: Uint8Array }) =>
    pattern.test(Buffer.from(entry.path).toString());

  it.each(PROTOCOLS)('lists all and reads some at protocol %i', async (protocolMax) => {
    const source = makeHardTree();
    const options = { ...LISTING, protocolMax, hardLinks: true };
    fs.writeFileSync(join(source, 'empty/none'), '');
    fs.linkSync(join(source, 'a/x'), join(source, 'a/y'));
    const result = await read(source, { options, wants: named(/^a\/|none$|^link$|\/c$/) });
    expect(result).toMatchObject({ code: 0, problems: [] });
    const shown = Object.fromEntries([...result.files].map(([k, v]) => [k, v.toString()]));
    expect(shown).toEqual({ 'a/x': 'x', 'a/y': 'x', 'a/b/c/deep': 'deep', 'empty/none': '' });
    expect(result.entries.length).toBe(result.report.listed);
    const big = result.entries.find(named(/^big$/));
    expect(big).toMatchObject({ size: 300_000, mode: 0o100644 });
    const raw = result.entries.find(({ path }) => path[0] === 0xff);
    expect(raw?.path).toEqual(Buffer.from([0xff, 0x80, 0x41]));
    expect(result.entries.find(named(/^link$/))?.target).toEqual(Buffer.from('a/x'));
  });

  it('lists without reading anything if nothing is wanted', async () => {
    const result = await read(makeHardTree(), {});
    expect(result.files.size).toBe(0);
    expect(result.report).toMatchObject({ filesReceived: 0, literalBytes: 0 });
    expect(result.report.bytesSent).toBeLessThan(50);
  });

  it('does not fetch a file that is too long, and reports it', async () => {
    const source = makeHardTree();
    const result = await read(source, { wants: named(/^(big|a-b\/f)$/) });
    expect([...result.files.keys()]).toEqual(['a-b/f']);
    expect(result.problems.map(({ code }) => code)).toEqual(['file-too-large']);
    expect(result.report.bytesReceived).toBeLessThan(10_000);
  });

  it('applies its limits to a file that grows after the list, and to the total of many files', async () => {
    const source = scratchFolder();
    for (let i = 0; i < 10; i++) fs.writeFileSync(join(source, `f${i}`), noise(100, i));
    const grown = await read(source, {
      wants: () => true,
      onList: () => fs.writeFileSync(join(source, 'f3'), noise(2000)),
    });
    expect(grown.problems.map(({ code }) => code)).toEqual(['file-too-large']);
    expect(grown.files.size).toBe(9);
    const many = await read(source, { wants: named(/^f[^3]/), totalMax: 450 });
    expect(many.files.size).toBe(4);
    expect(many.problems).toHaveLength(5);
  });

  it('reads one file by its name', async () => {
    const source = makeHardTree();
    const result = await read(source, { paths: [`${source}/a/x`], wants: () => true });
    expect([...result.files.entries()]).toEqual([['x', Buffer.from('x')]]);
  });

  it('of a missing folder gives an empty list, and the status gives the reason', async () => {
    const result = await read(join(scratchFolder(), 'missing'), {});
    expect(result.entries).toEqual([]);
    expect(result.code).toBe(23);
  });
});
