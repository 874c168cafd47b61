// Goal: a folder behind a stock `rsync --server --sender` is the same tree as the folder itself, in
// one run, and a file of any size is read in memory that does not depend on it.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { RemoteTree } from '../../../src/sync/copy/remote-tree.ts';
import type { RemoteSource } from '../../../src/sync/copy/remote-tree-run.ts';
import { localCommands } from '../../../src/transport/child.ts';
import type { Remote } from '../../../src/transport/connection.ts';
import { isDirectory, isRegularFile, type Entry, type Tree } from '../../../src/tree/entry.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { walk } from '../../../src/tree/walk.ts';
import { makeHardTree, noise } from '../../support/hard-tree.ts';
import { scratchFolder } from '../../support/stock-rsync.ts';

const PROTOCOLS = [27, 29, 30, 32];

function sourceAt(folder: string, changes: Partial<RemoteSource> = {}): RemoteSource {
  return {
    remote: localCommands(),
    path: `${folder}/`,
    rsyncPath: 'rsync',
    timeoutSec: 30,
    protocolMax: 32,
    signal: new AbortController().signal,
    ...changes,
  };
}

const text = (path: Uint8Array): string => Buffer.from(path).toString('latin1');

/** Everything of a tree that both sides know, in order; link groups numbered as they come. */
async function described(tree: Tree, isExact: boolean): Promise<string[]> {
  const lines: Entry[] = [];
  for await (const part of walk(tree)) lines.push(...part);
  const groups = new Map<number, number>();
  return lines.map((entry) => {
    const { path, mode, size, mtimeSec, mtimeNsec, uid, gid, target, rdev, linkGroup } = entry;
    if (linkGroup !== undefined && !groups.has(linkGroup)) groups.set(linkGroup, groups.size);
    return JSON.stringify({
      path: text(path),
      mode,
      size: isRegularFile(entry) ? size : undefined,
      mtime: [mtimeSec, isExact ? mtimeNsec : 0],
      owner: [uid, gid],
      target: target && text(target),
      rdev,
      group: linkGroup === undefined ? undefined : groups.get(linkGroup),
    });
  });
}

/** Counts what is read from all servers of a remote. */
function counted(inner: Remote): { readonly remote: Remote; readonly bytesRead: () => number } {
  let bytes = 0;
  const start: Remote['start'] = async (program, words) => {
    const connection = await inner.start(program, words);
    const input = new PassThrough();
    connection.input.on('data', (chunk: Buffer) => (bytes += chunk.length));
    connection.input.pipe(input);
    return {
      input,
      output: connection.output,
      exited: connection.exited,
      stderrText: () => connection.stderrText(),
      destroy: () => connection.destroy(),
    };
  };
  return {
    remote: { shownName: inner.shownName, start, close: () => inner.close() },
    bytesRead: () => bytes,
  };
}

async function contentOf(tree: RemoteTree, path: string): Promise<Buffer> {
  const entry = await found(tree, path);
  const file = await tree.open(entry);
  const pieces: Buffer[] = [];
  for (let offset = 0; offset < file.size; offset += 100_000) {
    pieces.push(Buffer.from(await file.read(offset, 100_000)));
  }
  expect(await file.close()).toBe('unchanged');
  return Buffer.concat(pieces);
}

async function found(tree: RemoteTree, path: string) {
  let entry = await tree.root();
  for (const name of path.split('/')) {
    const next = await tree.child(entry, Buffer.from(name, 'latin1'));
    if (next === undefined) throw new Error(`no ${path}`);
    entry = next;
  }
  return entry;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const thrown = await promise.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );
  return thrown instanceof EcsyncError ? thrown.code : String(thrown);
}

describe.each(PROTOCOLS)('a remote folder at protocol %i', (protocolMax) => {
  it('is the same tree as the folder itself', async () => {
    const folder = makeHardTree();
    fs.linkSync(join(folder, 'big'), join(folder, 'a/linked'));
    fs.linkSync(join(folder, 'a/x'), join(scratchFolder(), 'a name outside'));
    const tree = await RemoteTree.list(sourceAt(folder, { protocolMax }));
    expect(tree.incomplete).toBeUndefined();
    const isExact = protocolMax >= 31;
    const local = await described(new LocalTree(folder), isExact);
    expect(await described(tree, isExact)).toEqual(local);
    expect(tree.count).toBe(local.length);
    expect(await contentOf(tree, 'big')).toEqual(fs.readFileSync(join(folder, 'big')));
  });
});

describe('files of a remote folder', () => {
  it('of the format come with the listing: they are there even when the remote is not', async () => {
    const folder = scratchFolder();
    const hashed = `gocryptfs.longname.${'x'.repeat(43)}`;
    fs.mkdirSync(join(folder, 'sub'));
    fs.writeFileSync(join(folder, 'gocryptfs.conf'), '{}');
    fs.writeFileSync(join(folder, 'sub/gocryptfs.diriv'), '0123456789abcdef');
    fs.writeFileSync(join(folder, `sub/${hashed}.name`), 'full name');
    fs.writeFileSync(join(folder, 'sub/other'), 'other');
    const tree = await RemoteTree.list(sourceAt(folder));
    fs.rmSync(folder, { recursive: true });
    expect((await contentOf(tree, 'gocryptfs.conf')).toString()).toBe('{}');
    expect((await contentOf(tree, 'sub/gocryptfs.diriv')).toString()).toBe('0123456789abcdef');
    expect((await contentOf(tree, `sub/${hashed}.name`)).toString()).toBe('full name');
    expect(await codeOf(contentOf(tree, 'sub/other'))).toBe('source-missing');
  });

  it('are fetched together when told so, with any name', async () => {
    const folder = scratchFolder();
    const names = [
      'plain',
      'a[*]?b',
      String.raw`back\slash`,
      'with space',
      '\xff\xfe',
      'new\nline',
    ];
    for (const name of names) {
      const sub = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(`d-${name}`, 'latin1')]);
      fs.mkdirSync(sub);
      fs.writeFileSync(Buffer.concat([sub, Buffer.from(`/${name}`, 'latin1')]), `content ${name}`);
      fs.writeFileSync(Buffer.concat([sub, Buffer.from('/large')]), noise(5000, 1));
    }
    const tree = await RemoteTree.list(sourceAt(folder));
    const files = await Promise.all(names.map((name) => found(tree, `d-${name}/${name}`)));
    const large = await found(tree, 'd-plain/large');
    const alone = await contentOf(tree, `d-a[*]?b/a[*]?b`);
    expect(alone.toString()).toBe('content a[*]?b');
    await tree.prefetch([...files, large], 4096);
    fs.rmSync(folder, { recursive: true });
    for (const name of names) {
      expect((await contentOf(tree, `d-${name}/${name}`)).toString()).toBe(`content ${name}`);
    }
    expect(await codeOf(contentOf(tree, 'd-plain/large'))).toBe('source-missing');
  });

  it('are read in any order, and only as far as they are read', async () => {
    const folder = scratchFolder();
    const bytes = noise(5_000_000, 3);
    fs.writeFileSync(join(folder, 'large'), bytes);
    const tree = await RemoteTree.list(sourceAt(folder));
    const file = await tree.open(await found(tree, 'large'));
    for (const [offset, length] of [
      [0, 18],
      [18, 4128],
      [18, 100],
      [3_000_000, 70_000],
      [3_070_000, 1],
      [10, 20],
      [4_999_990, 100],
      [5_000_000, 1],
      [0, 5_000_000],
    ] as const) {
      const read = Buffer.from(await file.read(offset, length));
      expect(read.equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
    expect(await file.close()).toBe('unchanged');
    const begun = await tree.open(await found(tree, 'large'));
    expect((await begun.read(0, 10)).length).toBe(10);
    expect(await begun.close()).toBe('unchanged');
  });

  it('of which only the beginning is read cost little more than that', async () => {
    const folder = scratchFolder();
    const length = 64_000_000;
    fs.writeFileSync(join(folder, 'large'), Buffer.alloc(length, 'x'));
    const { remote, bytesRead } = counted(localCommands());
    const tree = await RemoteTree.list(sourceAt(folder, { remote }));
    const file = await tree.open(await found(tree, 'large'));
    expect((await file.read(0, 10)).length).toBe(10);
    await file.close();
    expect(bytesRead()).toBeLessThan(length / 8);
    expect(tree.traffic.bytesReceived).toBeGreaterThan(bytesRead() / 2);
  });

  it('that changed since the listing say so, and gone ones are errors', async () => {
    const folder = scratchFolder();
    for (const name of ['grown', 'gone']) fs.writeFileSync(join(folder, name), noise(100, 1));
    const tree = await RemoteTree.list(sourceAt(folder));
    fs.appendFileSync(join(folder, 'grown'), 'more');
    fs.rmSync(join(folder, 'gone'));
    const file = await tree.open(await found(tree, 'grown'));
    expect((await file.read(0, 200)).length).toBe(100);
    expect(await file.close()).toBe('changed');
    expect(await codeOf(contentOf(tree, 'gone'))).toBe('vanished');
  });
});

describe('a remote that cannot be listed', () => {
  it.each([
    ['a folder that does not exist', 'source-missing', (folder: string) => join(folder, 'no')],
    ['an rsync that is not there', 'program-missing', (folder: string) => folder],
  ])('is an error: %s', async (_what, code, place) => {
    const folder = scratchFolder();
    const isProgram = code === 'program-missing';
    const changes = isProgram ? { rsyncPath: '/nonexistent/rsync' } : {};
    expect(await codeOf(RemoteTree.list(sourceAt(place(folder), changes)))).toBe(code);
  });

  it('ends when it is interrupted', async () => {
    const aborted = AbortSignal.abort(new Error('stop'));
    const listing = RemoteTree.list(sourceAt(scratchFolder(), { signal: aborted }));
    expect(await codeOf(listing)).toBe('interrupted');
  });

  it('tells its empty folders from files', async () => {
    const tree = await RemoteTree.list(sourceAt(scratchFolder()));
    const root = await tree.root();
    expect(isDirectory(root)).toBe(true);
    expect(await tree.children(root)).toEqual([]);
  });
});
