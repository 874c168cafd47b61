// Goal: our sender and our server understand each other inside one process. Method: random and
// chosen trees are sent into a local folder, and the folder is compared with the source.
import * as fs from 'node:fs';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/errors.ts';
import type { ReceiverRule } from '../../../src/rsync/flist/filter-list.ts';
import { serverArgs, type TransferOptions } from '../../../src/rsync/wire/options.ts';
import { send } from '../../../src/rsync/send/sender.ts';
import type { SendReport } from '../../../src/rsync/send/send-job.ts';
import {
  LocalFolderRemote,
  type LocalFolderOptions,
} from '../../../src/sync/reach/local-folder.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { walk } from '../../../src/tree/walk.ts';
import { ARCHIVE } from '../../support/stock-rsync.ts';
import { Bench, buildShape, linkGroups, randomShape, snapshot } from './support.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.remove());

interface Pushed {
  readonly report: SendReport;
  readonly code: number | null;
  readonly stderr: string;
  readonly deleted: string[];
  readonly messages: string[];
}

async function push(
  options: Partial<TransferOptions> = {},
  remoteOptions: LocalFolderOptions = { durable: false },
  rules: readonly ReceiverRule[] = [],
): Promise<Pushed> {
  const transfer = { ...ARCHIVE, ...options };
  const tree = new LocalTree(bench.source);
  const entries: LocalEntry[] = [];
  for await (const part of walk(tree)) entries.push(...part);
  const remote = new LocalFolderRemote(remoteOptions);
  const connection = await remote.start('rsync', serverArgs(transfer, bench.ours));
  const deleted: string[] = [];
  const messages: string[] = [];
  const report = await send(connection, {
    entries,
    options: transfer,
    rules,
    open: (entry) => tree.open(entry),
    onItem: () => undefined,
    onDeleted: (path) => deleted.push(Buffer.from(path).toString()),
    onMessage: (_level, text) => messages.push(text),
  });
  const { code } = await connection.exited;
  await remote.close();
  return { report, code, stderr: connection.stderrText(), deleted, messages };
}

describe('LocalFolderRemote', () => {
  it.each([29, 30, 31, 32])('stores what our sender sends, protocol %i', async (protocolMax) => {
    bench.prepare(`mkdir -p a/b c; echo 1 > a/1; head -c 5000000 /dev/urandom > a/b/big; ln -s 1 a/l
      ln a/1 c/hard; : > empty; mkfifo p; chown 3:4 a/1; chmod 2750 c`);
    const first = await push({ protocolMax, hardLinks: true });
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.source));
    expect(await linkGroups(bench.ours)).toEqual([['a/1', 'c/hard']]);
    const again = await push({ protocolMax, hardLinks: true });
    expect(again.report.literalBytes).toBe(0);
    expect(again.report.filesSent).toBe(0);
  });

  it('transfers deltas on request', async () => {
    bench.prepare('head -c 5000000 /dev/urandom > big');
    await push();
    bench.prepare('printf tail >> big');
    const { report } = await push({ blockSize: 4128 }, { wholeFile: false, durable: false });
    expect(report.matchedBytes).toBeGreaterThan(4_900_000);
    expect(report.literalBytes).toBeLessThan(10_000);
    expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.source));
  });

  it('skips existing objects with --ignore-existing, and reports differences as rsync does', async () => {
    bench.prepare(`mkdir -p d e t; for f in same changed touched mode gone t/in k; do echo 1 > $f; done
      ln -s 1 link; ln -s 1 other; ln changed twin`);
    const skipping = { ignoreExisting: true, reportSkipped: true, hardLinks: true };
    expect((await push(skipping)).messages).toEqual([]);
    bench.prepare(`echo 22 > changed; touch -d @1000 touched; chmod 700 mode; ln -sfn 2 other; rm -r gone t k
      echo 3 > t; mkdir k; echo 4 > k/in; echo 5 > d/new; ln changed d/twin; ln same d/same; chmod 711 d`);
    const before = await snapshot(bench.ours);
    const dry = await push({ ...skipping, dryRun: true });
    const { stdout } = spawnSync(
      'rsync',
      ['-aHn', '--numeric-ids', '--ignore-existing', '--info=skip2', 'src/', 'ours/'],
      { cwd: bench.root, encoding: 'utf8' },
    );
    expect(stdout).toContain('changed exists (file change)\n');
    expect(dry.messages.join('').split('\n').sort()).toEqual(stdout.split('\n').sort());
    expect(await snapshot(bench.ours)).toEqual(before);
    expect(await push(skipping)).toMatchObject({ code: 0, stderr: '' });
    const after = new Map(Object.entries(await snapshot(bench.ours)));
    for (const [name, was] of Object.entries(before)) {
      if (name !== '.' && name !== 'd') expect(after.get(name), name).toEqual(was);
    }
    expect(fs.readFileSync(join(bench.ours, 'd/new'), 'utf8')).toBe('5\n');
    // A further name of a changed file is a separate file there.
    expect(fs.readFileSync(join(bench.ours, 'd/twin'), 'utf8')).toBe('22\n');
    expect(fs.statSync(join(bench.ours, 'd/same')).ino).toBe(
      fs.statSync(join(bench.ours, 'same')).ino,
    );
  });

  it('only deletes with --existing and --ignore-existing', async () => {
    bench.prepare('mkdir d; echo 1 > d/1; echo 2 > 2');
    await push();
    bench.prepare('rm d/1; echo 22 > 2; mkdir n; echo 3 > n/3; ln -s 3 l');
    const { deleted, report } = await push({
      deleteAfter: true,
      existing: true,
      ignoreExisting: true,
    });
    expect(deleted).toEqual(['d/1']);
    expect(report.filesSent).toBe(0);
    expect(fs.readdirSync(bench.ours).sort()).toEqual(['2', 'd']);
    expect(fs.readFileSync(join(bench.ours, '2'), 'utf8')).toBe('2\n');
  });

  it('reports each folder that it cannot empty because of a rule', async () => {
    bench.prepare('mkdir -p d/e; echo 1 > d/e/kept; echo 2 > d/e/gone; echo 3 > d/e/kept.too');
    await push();
    bench.prepare('rm -r d');
    const rules = [{ action: 'protect', pattern: Buffer.from('kept*') }] as const;
    const { deleted, messages } = await push({ deleteAfter: true }, { durable: false }, rules);
    expect(deleted).toEqual(['d/e/gone']);
    expect(messages.join('').split('\n').filter(Boolean).sort()).toEqual([
      'cannot delete non-empty directory: d',
      'cannot delete non-empty directory: d/e',
    ]);
  });

  it('reports each deletion', async () => {
    bench.prepare('mkdir -p d/e unknown; echo 1 > d/e/1; echo 2 > unknown/2; echo 3 > 3');
    await push();
    bench.prepare('rm -r d/e 3 unknown/2');
    const { deleted, code } = await push({ deleteAfter: true });
    expect(code).toBe(0);
    expect(deleted.sort()).toEqual(['3', 'd/e', 'd/e/1', 'unknown/2']);
    expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.source));
  });

  it('deletes nothing in a folder with unknown content, and nothing at all if the scan failed', async () => {
    bench.prepare('mkdir -p known unknown/sub; echo 1 > known/1; echo 2 > unknown/sub/2');
    await push();
    const tree = new LocalTree(bench.source);
    const [root, folders] = [await tree.root(), await tree.children(await tree.root())];
    const unknown = folders.find((entry) => Buffer.from(entry.path).toString() === 'unknown');
    if (unknown !== undefined) unknown.contentUnknown = true;
    const sorted = [...folders].sort((a, b) => Buffer.compare(a.path, b.path));
    const transfer = { ...ARCHIVE, deleteAfter: true };
    const remote = new LocalFolderRemote({ durable: false });
    const connection = await remote.start('rsync', serverArgs(transfer, bench.ours));
    await send(connection, {
      entries: [root, ...sorted],
      options: transfer,
      open: (entry) => tree.open(entry),
      onItem: () => undefined,
    });
    expect((await connection.exited).code).toBe(0);
    expect(fs.existsSync(join(bench.ours, 'known/1'))).toBe(false);
    expect(fs.existsSync(join(bench.ours, 'unknown/sub/2'))).toBe(true);
  });

  it('does not store a vanished file, and ends with 24', async () => {
    bench.prepare('echo 1 > stays; echo 2 > goes');
    const tree = new LocalTree(bench.source);
    const entries: LocalEntry[] = [];
    for await (const part of walk(tree)) entries.push(...part);
    fs.rmSync(join(bench.source, 'goes'));
    const remote = new LocalFolderRemote({ durable: false });
    const connection = await remote.start('rsync', serverArgs(ARCHIVE, bench.ours));
    await send(connection, {
      entries,
      options: ARCHIVE,
      open: (entry) => tree.open(entry),
      onItem: () => undefined,
    });
    expect((await connection.exited).code).toBe(24);
    expect(fs.readdirSync(bench.ours)).toEqual(['stays']);
  });

  it('creates the folder and its parents if nothing is in the way', async () => {
    const remote = new LocalFolderRemote();
    const words = (folder: string) => serverArgs(ARCHIVE, join(bench.root, folder));
    fs.writeFileSync(join(bench.root, 'file'), '');
    await expect(remote.start('rsync', words('file/such'))).rejects.toThrow(RemoteError);
    await expect(remote.start('rsync', words('file'))).rejects.toThrow(/not a folder/);
    const connection = await remote.start('rsync', words('no/new'));
    expect(fs.statSync(join(bench.root, 'no/new')).isDirectory()).toBe(true);
    connection.destroy();
    expect((await connection.exited).code).toBe(12);
  });

  it('leaves nothing behind if the sender disconnects midway', async () => {
    bench.prepare('head -c 30000000 /dev/zero > big');
    const tree = new LocalTree(bench.source);
    const entries: LocalEntry[] = [];
    for await (const part of walk(tree)) entries.push(...part);
    const remote = new LocalFolderRemote();
    const connection = await remote.start('rsync', serverArgs(ARCHIVE, bench.ours));
    const sending = send(connection, {
      entries,
      options: ARCHIVE,
      open: (entry) => tree.open(entry),
      onItem: () => undefined,
      onProgress: () => connection.destroy(),
    });
    await expect(sending).rejects.toThrow();
    await connection.exited;
    expect(fs.readdirSync(bench.ours)).toEqual([]);
  });

  it('reports a full disk and leaves no partial file', async () => {
    bench.prepare('head -c 3000000 /dev/urandom > big; echo 1 > a');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', bench.ours]);
    try {
      const tree = new LocalTree(bench.source);
      const entries: LocalEntry[] = [];
      for await (const part of walk(tree)) entries.push(...part);
      const remote = new LocalFolderRemote();
      const connection = await remote.start('rsync', serverArgs(ARCHIVE, bench.ours));
      const sending = send(connection, {
        entries,
        options: ARCHIVE,
        open: (entry) => tree.open(entry),
        onItem: () => undefined,
      });
      await expect(sending).rejects.toThrow();
      expect((await connection.exited).code).toBe(11);
      expect(connection.stderrText()).toContain('no space left on device');
      expect(fs.readdirSync(bench.ours).filter((name) => name !== 'a')).toEqual([]);
    } finally {
      execFileSync('umount', [bench.ours]);
    }
  });

  it('stores random trees exactly, whatever existed before', async () => {
    const property = fc.asyncProperty(randomShape, randomShape, async (before, after) => {
      for (const side of [bench.source, bench.ours]) {
        fs.rmSync(side, { recursive: true, force: true });
        fs.mkdirSync(side);
      }
      buildShape(bench.ours, before);
      buildShape(bench.source, after);
      bench.prepare(':');
      const { code, stderr } = await push(
        { deleteAfter: true, ignoreTimes: true },
        { durable: false, wholeFile: after.length % 2 === 0 },
      );
      expect([code, stderr]).toEqual([0, '']);
      expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.source));
    });
    await fc.assert(property, { numRuns: 60 });
  });
});
