/** Resolves paths, lists folders and reads files in a decrypted copy. */
import { FileError, IntegrityError, type FileCode } from '../../errors.ts';
import { PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import {
  isDirectory,
  isRegularFile,
  isSymlink,
  type Entry,
  type OpenFile,
  type Tree,
} from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import type { DecryptedView } from '../../view/decrypt/decrypted-view.ts';
import type { PlainEntry } from '../../view/plain-entry.ts';
import { isRootPath, pathKey, ROOT_PATH, splitPath } from '../../bytes/paths.ts';

/** Links followed before a path counts as a loop, as on Linux. */
const LINKS_MAX = 40;
/** Length of a piece of plaintext that is passed on. */
const PIECE_LENGTH = 64 * PLAIN_BLOCK_SIZE;
const SLASH = 0x2f;

/**
 * Follows a symbolic link inside the copy, through further links if need be.
 *
 * @returns the entry itself if it is no link; undefined if the target does not exist
 * @throws {FileError} `link-outside`, `link-circle`; as `DecryptedView.find`
 */
export async function followLinks<C extends Entry>(
  view: DecryptedView<C>,
  start: PlainEntry<C>,
): Promise<PlainEntry<C> | undefined> {
  let entry: PlainEntry<C> | undefined = start;
  for (let count = 0; entry !== undefined && isSymlink(entry); count++) {
    if (count === LINKS_MAX) throw linkError('link-circle', start, 'links in a circle');
    const place = targetPlace(entry);
    if (place === undefined) throw linkError('link-outside', start, 'a link out of the copy');
    entry = await view.find(place);
  }
  return entry;
}

/** The target of a link as a path from the root. Undefined if it lies outside. */
function targetPlace({ path, target = ROOT_PATH }: Entry): Uint8Array | undefined {
  if (target[0] === SLASH) return undefined;
  const folder = splitPath(path).directory;
  const names = isRootPath(folder) ? [] : pathKey(folder).split('/');
  for (const name of pathKey(target).split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.pop() === undefined) return undefined;
  }
  return names.length === 0 ? ROOT_PATH : Buffer.from(names.join('/'), 'latin1');
}

function linkError(code: FileCode, { path, target = ROOT_PATH }: Entry, what: string): FileError {
  const shown = showPath(path);
  return new FileError(code, `${shown} is ${what}: it points to ${showPath(target)}`, {
    facts: { path: shown },
  });
}

/**
 * Makes sure that a path led to a file.
 *
 * @param path - the requested path
 * @throws {FileError} `link-broken`, `not-a-file`
 */
export function assertFile<E extends Entry>(entry: E | undefined, path: Uint8Array): E {
  if (entry !== undefined && isRegularFile(entry)) return entry;
  const shown = showPath(path);
  const facts = { path: shown };
  if (entry === undefined) {
    throw new FileError('link-broken', `${shown} is a link that leads to nothing`, { facts });
  }
  if (!isDirectory(entry)) throw new FileError('not-a-file', `${shown} is no file`, { facts });
  const hint = 'See what is in it: ecsync ls PATH';
  throw new FileError('not-a-file', `${shown} is a folder`, { hint, facts });
}

/** The part of a tree below one directory, as a tree of its own. */
export function treeBelow<E extends Entry>(tree: Tree<E>, top: E): Tree<E> {
  return {
    root: () => Promise.resolve(top),
    children: (directory) => tree.children(directory),
    open: (entry) => tree.open(entry),
  };
}

/**
 * Passes on the content of a file from `offset` up to `end` in pieces. Content before damage is
 * passed on, and then the damage is thrown.
 *
 * @param write - receives a piece, which is valid until the promise settles; returns false to stop
 *   reading
 * @throws {IntegrityError} the first damaged block; as `PlainFile.read`
 */
export async function readOut(
  file: OpenFile,
  { offset, end }: { readonly offset: number; readonly end: number },
  write: (piece: Uint8Array, at: number) => Promise<boolean>,
): Promise<void> {
  const stop = Math.min(end, file.size);
  // The header of an empty file is verified only when the file is read.
  if (file.size === 0) await file.read(0, 1);
  for (let at = offset; at < stop;) {
    // Pieces end at block boundaries, so that each block is decrypted once.
    const length = Math.min(PIECE_LENGTH - (at % PLAIN_BLOCK_SIZE), stop - at);
    let piece: Uint8Array;
    try {
      piece = await file.read(at, length);
    } catch (error) {
      const good = goodLength(error, at, length);
      if (good > 0) await write(await file.read(at, good), at);
      throw error;
    }
    if (piece.length === 0 || !(await write(piece, at))) return;
    at += piece.length;
  }
}

/** Number of bytes of a piece before the damaged block. */
function goodLength(error: unknown, at: number, length: number): number {
  if (!(error instanceof IntegrityError)) return 0;
  const { blockNo } = error.facts;
  if (typeof blockNo !== 'number') return 0;
  return Math.min(length, Math.max(0, blockNo * PLAIN_BLOCK_SIZE - at));
}
