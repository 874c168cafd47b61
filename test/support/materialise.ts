import { constants } from 'node:fs';
import { chmod, chown, link, lutimes, mkdir, open, symlink } from 'node:fs/promises';
import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSymlink,
  isSpecial,
  type Entry,
  type Tree,
} from '../../src/tree/entry.ts';
import { walk } from '../../src/tree/walk.ts';
import { execFileSync } from 'node:child_process';

const CHUNK = 100_000;

/** What a whole walk of a tree gave, in its order. */
export async function allEntries<E extends Entry>(tree: Tree<E>): Promise<E[]> {
  const entries: E[] = [];
  for await (const part of walk(tree)) entries.push(...part);
  return entries;
}

/** The whole content of a file of a tree, read in steps of `step` bytes. */
export async function readAll<E extends Entry>(
  tree: Tree<E>,
  entry: E,
  step = CHUNK,
): Promise<Buffer> {
  const file = await tree.open(entry);
  const parts: Buffer[] = [];
  for (let offset = 0; ;) {
    const part = Buffer.from(await file.read(offset, step));
    offset += part.length;
    parts.push(part);
    if (part.length < step) break;
  }
  await file.close();
  return Buffer.concat(parts);
}

/**
 * Writes a tree to disk as it is, with modes, owners, times and hard links: what a push would
 * leave at the other end. `entries` come from {@link allEntries}.
 */
export async function materialise<E extends Entry>(
  tree: Tree<E>,
  entries: readonly E[],
  destination: string,
): Promise<void> {
  const fullPath = (entry: Entry) => Buffer.concat([Buffer.from(`${destination}/`), entry.path]);
  const leaders = new Map<number, Buffer>();
  for (const entry of entries) {
    const path = fullPath(entry);
    const leader = entry.linkGroup === undefined ? undefined : leaders.get(entry.linkGroup);
    if (leader !== undefined) {
      await link(leader, path);
      continue;
    }
    if (entry.linkGroup !== undefined) leaders.set(entry.linkGroup, path);
    await create(tree, entry, path);
    if (!isSymlink(entry)) await chmod(path, entry.mode & 0o7777);
  }
  // Times last, the deepest first: making a child changes its directory's.
  for (const entry of [...entries].reverse()) {
    const time = entry.mtimeSec + entry.mtimeNsec / 1e9;
    await lutimes(fullPath(entry), time, time);
  }
}

async function create<E extends Entry>(tree: Tree<E>, entry: E, path: Buffer): Promise<void> {
  if (isDirectory(entry)) {
    if (entry.path.length !== 1 || entry.path[0] !== 0x2e) await mkdir(path);
  } else if (isRegularFile(entry)) {
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
    await file.writeFile(await readAll(tree, entry));
    await file.close();
  } else if (isSymlink(entry)) {
    await symlink(Buffer.from(entry.target ?? []), path);
  } else if (isDevice(entry) || isSpecial(entry)) {
    // Only fifos are used; Node cannot make one itself.
    execFileSync('mkfifo', [path.toString()]);
  }
  if (process.getuid?.() === 0 && !isSymlink(entry)) await chown(path, entry.uid, entry.gid);
}
