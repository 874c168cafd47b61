// Goal: a user who can exchange folders of the source for symlinks, while root reads it, gets
// nothing into the listing or the content that is outside of the source. Method: exchanges at each
// step of a listing, and a process that does nothing else.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VanishedError, type EcsyncError } from '../../../src/errors.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { FileOnDisk, readListedFile } from '../../../src/tree/local/local-file.ts';
import { LocalTree, type LocalTreeOptions } from '../../../src/tree/local/local-tree.ts';
import { walk } from '../../../src/tree/walk.ts';

const NOBODY = 65534;

let base = '';
let root = '';
let secret = '';
beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ecsync-exposed-')));
  root = join(base, 'source');
  secret = join(base, 'secret');
  fs.mkdirSync(join(root, 'theirs/folder/inner'), { recursive: true });
  fs.mkdirSync(join(secret, 'inner'), { recursive: true });
  for (const folder of [join(root, 'theirs/folder'), secret]) {
    for (const name of ['same', 'inner/same']) fs.writeFileSync(join(folder, name), 'theirs');
  }
  for (const name of ['same', 'inner/same', 'only', 'inner/only']) {
    fs.writeFileSync(join(secret, name), 'a secret');
  }
  for (const path of ['theirs', 'theirs/folder', 'theirs/folder/inner']) {
    fs.chownSync(join(root, path), NOBODY, NOBODY);
  }
});
afterEach(() => fs.rmSync(base, { recursive: true, force: true }));

/** Replaces the other user's folder by a symlink to the secrets. */
function exchange(path = 'theirs/folder', target = secret): void {
  fs.renameSync(join(root, path), join(base, 'away'));
  fs.symlinkSync(target, join(root, path));
}

function giveBack(path = 'theirs/folder'): void {
  fs.unlinkSync(join(root, path));
  fs.renameSync(join(base, 'away'), join(root, path));
}

interface Listing {
  readonly paths: string[];
  readonly entries: Map<string, LocalEntry>;
  readonly problems: string[];
}

async function list(options: LocalTreeOptions = {}): Promise<Listing & { tree: LocalTree }> {
  const entries = new Map<string, LocalEntry>();
  const problems: string[] = [];
  const onProblem = (path: Uint8Array, error: EcsyncError): void => {
    problems.push(`${Buffer.from(path).toString()} ${error.code}`);
  };
  const tree = new LocalTree(root, { ...options, onProblem });
  for await (const part of walk(tree)) {
    for (const entry of part) entries.set(Buffer.from(entry.path).toString(), entry);
  }
  return { tree, entries, paths: [...entries.keys()], problems };
}

const WHOLE = [
  '.',
  'theirs',
  'theirs/folder',
  'theirs/folder/same',
  'theirs/folder/inner',
  'theirs/folder/inner/same',
];

function sizes({ entries }: Listing): (number | undefined)[] {
  return WHOLE.filter((path) => path.endsWith('same')).map((path) => entries.get(path)?.size);
}

describe('a folder that becomes a symlink', () => {
  it('after it was examined and before it is listed is not listed', async () => {
    const seen = await list({
      filter: {
        verdict: (path) => {
          if (Buffer.from(path).toString() === 'theirs/folder') exchange();
          return 'include';
        },
      },
    });
    expect(seen.paths).toEqual(['.', 'theirs', 'theirs/folder']);
    expect(seen.problems).toEqual(['theirs/folder vanished']);
  });

  it('after its names were read and before they are examined shows its old content', async () => {
    const seen = await list({
      limits: {
        enter: ({ path }) => {
          if (Buffer.from(path).toString() === 'theirs/folder') exchange();
        },
        admits: () => true,
      },
    });
    expect(seen.paths).toEqual(WHOLE.slice(0, 5));
    expect(seen.entries.get('theirs/folder/same')?.size).toBe('theirs'.length);
    expect(seen.problems).toEqual(['theirs/folder/inner vanished']);
  });

  it('while it is examined, and a folder again afterwards, shows its old content', async () => {
    const seen = await list({
      limits: {
        enter: ({ path }) => {
          if (Buffer.from(path).toString() === 'theirs/folder') exchange();
        },
        admits: ({ path }) => {
          if (Buffer.from(path).toString() === 'theirs/folder/same') giveBack();
          return true;
        },
      },
    });
    expect(sizes(seen)).toEqual([6, 6]);
    expect(seen.paths.some((path) => path.endsWith('only'))).toBe(false);
  });

  it('above the folder that is listed is not followed either', async () => {
    fs.mkdirSync(join(secret, 'folder'));
    fs.writeFileSync(join(secret, 'folder/only'), 'a secret');
    const seen = await list({
      filter: {
        verdict: (path) => {
          if (Buffer.from(path).toString() === 'theirs/folder') exchange('theirs');
          return 'include';
        },
      },
    });
    expect(seen.paths).toEqual(['.', 'theirs', 'theirs/folder']);
    expect(seen.problems).toEqual(['theirs/folder vanished']);
  });

  it('is not followed for rules or a single name either', async () => {
    const { tree, entries } = await list();
    const folder = entries.get('theirs/folder');
    if (folder === undefined) throw new Error('not listed');
    exchange();
    expect(await tree.child(folder, Buffer.from('only'))).toBeUndefined();
    expect(await tree.child(folder, Buffer.from('same'))).toBeUndefined();
  });
});

it('another folder in place of the listed one is not listed', async () => {
  const seen = await list({
    filter: {
      verdict: (path) => {
        if (Buffer.from(path).toString() !== 'theirs/folder') return 'include';
        fs.renameSync(join(root, 'theirs/folder'), join(base, 'away'));
        fs.renameSync(secret, join(root, 'theirs/folder'));
        return 'include';
      },
    },
  });
  expect(seen.paths).toEqual(['.', 'theirs', 'theirs/folder']);
  expect(seen.problems).toEqual(['theirs/folder vanished']);
});

it('a file with the number of a listed one is not read outside of the source', async () => {
  const { tree, entries } = await list();
  const entry = entries.get('theirs/folder/same');
  if (entry === undefined) throw new Error('not listed');
  const fullPath = tree.locate(entry);
  const out = Buffer.alloc(entry.size);
  expect(readListedFile(fullPath, entry, out)).toBe(true);
  // As if the listed file was deleted and its number given to another one.
  fs.rmSync(join(secret, 'same'));
  fs.renameSync(join(root, 'theirs/folder/same'), join(secret, 'same'));
  exchange();
  await expect(tree.open(entry)).rejects.toThrow(VanishedError);
  expect(FileOnDisk.open(fullPath, entry)).toBeUndefined();
  expect(readListedFile(fullPath, entry, out)).toBe(false);
});

it('the path to a source may have symlinks, which are not objects of it', async () => {
  fs.symlinkSync(root, join(base, 'link'));
  root = join(base, 'link');
  const { tree, entries, paths } = await list();
  expect(paths).toEqual(WHOLE);
  const entry = entries.get('theirs/folder/same');
  if (entry === undefined) throw new Error('not listed');
  const file = await tree.open(entry);
  expect(Buffer.from(await file.read(0, 6)).toString()).toBe('theirs');
  expect(await file.close()).toBe('unchanged');
});

it('folders that others can write are distinguished from those that they can only read', async () => {
  fs.mkdirSync(join(root, 'ours/open/below'), { recursive: true });
  fs.chmodSync(join(root, 'ours/open'), 0o775);
  const { entries } = await list();
  const exposed = [...entries].filter(([, entry]) => entry.isExposed).map(([path]) => path);
  expect(exposed).toEqual(['ours/open/below', ...WHOLE.slice(2)]);
});

/** Exchanges folders for links to the secrets and back until it is ended. */
const EXCHANGER = `
const fs = require('node:fs');
const [root, base, secret] = process.argv.slice(1);
for (let i = 0; ; i++) {
  const folder = root + '/theirs/folder' + (i % 4 || '');
  fs.renameSync(folder, base + '/away');
  fs.symlinkSync(secret, folder);
  for (let wait = i % 7; wait > 0; wait--) fs.lstatSync(folder + '/only');
  fs.unlinkSync(folder);
  fs.renameSync(base + '/away', folder);
  if (i === 0) process.stdout.write('ready');
}`;

it('nothing of the secrets is listed or read while a process exchanges folders all the time', async () => {
  for (const name of ['', '1', '2', '3']) {
    const folder = join(root, `theirs/folder${name}`);
    fs.mkdirSync(folder, { recursive: true });
    fs.chownSync(folder, NOBODY, NOBODY);
    for (let i = 0; i < 40; i++) {
      fs.writeFileSync(join(folder, `${i}same`), 'theirs');
      fs.writeFileSync(join(secret, `${i}same`), 'a secret');
    }
  }
  const child = spawn(process.execPath, ['-e', EXCHANGER, root, base, secret], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let filesRead = 0;
  try {
    await once(child.stdout, 'data');
    for (let round = 0; round < 100; round++) {
      const seen = await list();
      expect(seen.paths.filter((path) => path.endsWith('only'))).toEqual([]);
      for (const [path, entry] of seen.entries) {
        if (!path.endsWith('same')) continue;
        expect(entry.size).toBe('theirs'.length);
        filesRead += Number(readsTheirs(seen.tree, entry));
      }
    }
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  expect(filesRead).toBeGreaterThan(0);
});

/** False for a file that is away just now. */
function readsTheirs(tree: LocalTree, entry: LocalEntry): boolean {
  const out = Buffer.alloc(64);
  try {
    if (!readListedFile(tree.locate(entry), entry, out)) return false;
  } catch {
    return false;
  }
  expect(out.toString('utf8', 0, entry.size)).toBe('theirs');
  return true;
}
