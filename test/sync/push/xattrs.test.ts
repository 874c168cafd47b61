// Goal: attributes reach the entries they belong to; what could not be read is left out of the push
// with everything in it, so that the copy keeps what it has, and nothing is deleted.
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serialiseConf } from '../../../src/gocryptfs/conf/config.ts';
import { createConf } from '../../../src/gocryptfs/conf/keys.ts';
import { takeSnapshot, type Snapshot } from '../../../src/sync/push/source/snapshot.ts';
import type { ReadXattrs } from '../../../src/sync/push/source/list-xattrs.ts';
import { withXattrs } from '../../../src/sync/push/xattrs.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import type { XattrFailure } from '../../../src/transport/programs/fattr-program.ts';
import { EncryptedView } from '../../../src/view/encrypt/encrypted-view.ts';

/** A folder with a file, two names of another, and a sub-folder with a file; its view; what was said. */
async function begin(): Promise<{
  view: EncryptedView<LocalEntry>;
  snapshot: Snapshot;
  attach: (read: ReadXattrs) => Promise<Snapshot>;
  said: string[];
}> {
  const source = mkdtempSync(join(tmpdir(), 'ecsync-sync-xattrs-'));
  onTestFinished(() => rmSync(source, { recursive: true, force: true }));
  mkdirSync(join(source, 'sub'));
  for (const name of ['file', 'one', 'sub/inside']) writeFileSync(join(source, name), name);
  linkSync(join(source, 'one'), join(source, 'two'));
  const password = Buffer.from('x');
  const { conf, masterkey } = await createConf({ password, scryptLogN: 10, creator: 'test' });
  const view = new EncryptedView(new LocalTree(source), {
    conf: { bytes: serialiseConf(conf), mtimeSec: 0 },
    masterkey,
  });
  const { signal } = new AbortController();
  const onCount = (): void => undefined;
  const sawFailure = (): boolean => false;
  const snapshot = await takeSnapshot(view, { signal, hardLinks: true, sawFailure, onCount });
  const said: string[] = [];
  const ledger = {
    problem: (error: { code: string }) => said.push(error.code),
    note: (code: string) => said.push(code),
  };
  const attach = (read: ReadXattrs): Promise<Snapshot> =>
    withXattrs(view, snapshot, { source, signal, ledger, read });
  return { view, snapshot, attach, said };
}

const plainPaths = ({ entries }: Pick<Snapshot, 'entries'>): string[] =>
  entries.flatMap(({ plain }) => (plain === undefined ? [] : [Buffer.from(plain.path).toString()]));
const found = (path: string) => ({
  path: Buffer.from(path),
  xattrs: [
    { name: Buffer.from('user.x'), value: Buffer.from('value') },
    { name: Buffer.from('system.posix_acl_access'), value: Buffer.from('acl') },
  ],
});
const telling =
  (...wanted: string[]): ReadXattrs =>
  (_folder, paths, { onObject }) => {
    for (const path of paths) {
      const shown = Buffer.from(path).toString();
      if (wanted.includes(shown)) onObject(found(shown));
    }
    return Promise.resolve();
  };
const failing =
  (failure: Partial<XattrFailure> & { paths: XattrFailure['paths'] }): ReadXattrs =>
  (_folder, _paths, { onFailure }) => {
    onFailure({ message: 'no', isGone: false, ...failure });
    return Promise.resolve();
  };

describe('attributes of a snapshot', () => {
  it('are encrypted, without access control lists, and shared by the names of one object', async () => {
    const { attach } = await begin();
    const { entries } = await attach(telling('./.', './one', './two', './sub/inside'));
    const carrying = entries.filter(({ xattrs }) => xattrs !== undefined);
    expect(plainPaths({ entries: carrying })).toHaveLength(4);
    for (const { xattrs } of carrying) {
      expect(xattrs).toHaveLength(1);
      expect(Buffer.from(xattrs?.[0]?.name ?? '').toString()).toMatch(/^user\.gocryptfs\./);
    }
    const linked = carrying.filter(({ linkGroup }) => linkGroup !== undefined);
    expect(linked).toHaveLength(2);
    expect(linked[0]?.xattrs).toBe(linked[1]?.xattrs);
    const values = new Set(carrying.map(({ xattrs }) => xattrs?.[0]?.value));
    expect(values.size).toBe(3);
  });

  it('are asked for under the paths of the snapshot, in its order', async () => {
    const { attach, snapshot } = await begin();
    const asked: string[] = [];
    await attach((_folder, paths) => {
      for (const path of paths) asked.push(Buffer.from(path).toString());
      return Promise.resolve();
    });
    expect(asked).toEqual(plainPaths(snapshot).map((path) => `./${path}`));
  });

  it('of something that nobody asked for end the push', async () => {
    const { attach } = await begin();
    const backwards: ReadXattrs = (_folder, _paths, { onObject }) => {
      for (const path of ['./sub', './one']) onObject(found(path));
      return Promise.resolve();
    };
    await expect(attach(backwards)).rejects.toMatchObject({ code: 'xattrs-unreadable' });
  });
});

describe('what cannot be read', () => {
  const paths = (...all: string[]): Buffer[] => all.map((path) => Buffer.from(path));

  it('is left out, and nothing is deleted', async () => {
    const { attach, said } = await begin();
    const after = await attach(failing({ paths: paths('./file: user.x', './file') }));
    expect(plainPaths(after).sort()).toEqual(['.', 'one', 'sub', 'sub/inside', 'two']);
    expect(after.incomplete).toBe(true);
    expect(said).toEqual(['xattrs-unreadable']);
  });

  it('is left out with everything in it', async () => {
    const { attach } = await begin();
    const after = await attach(failing({ paths: paths('./sub') }));
    expect(plainPaths(after).sort()).toEqual(['.', 'file', 'one', 'two']);
    expect(after.incomplete).toBe(true);
  });

  it('because it vanished is simply gone', async () => {
    const { attach, said } = await begin();
    const after = await attach(failing({ paths: paths('./file'), isGone: true }));
    expect(plainPaths(after).sort()).toEqual(['.', 'one', 'sub', 'sub/inside', 'two']);
    expect(after.incomplete).toBe(false);
    expect(said).toEqual(['vanished']);
  });

  it('and is not known is told, and nothing is deleted', async () => {
    const { attach, said, snapshot } = await begin();
    const after = await attach(failing({ paths: [] }));
    expect(plainPaths(after)).toEqual(plainPaths(snapshot));
    expect(after.incomplete).toBe(true);
    expect(said).toEqual(['xattrs-unreadable']);
  });

  it('ends the push when it is the folder itself', async () => {
    const { attach } = await begin();
    await expect(attach(failing({ paths: paths('./.') }))).rejects.toMatchObject({
      code: 'xattrs-unreadable',
    });
  });
});
