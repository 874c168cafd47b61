/** Reads a sealed list: all of it, one object, or what differs between two lists. */
import { ByteWriter } from '../bytes/byte-writer.ts';
import { type Chunk, type ChunkRef, LEVELS_MAX, readChunk, unpackChunk } from './chunk.ts';
import { startOfChunk, writeSealedObject } from './object-coding.ts';
import { compareSealedPaths, type SealedObject, sealInvalid } from './sealed-object.ts';

/** Fetches a chunk as it is stored, by its digest. */
export type FetchChunk = (digest: Uint8Array) => Promise<Uint8Array>;

/** What two lists have under one path. */
export interface SealedDifference {
  readonly path: Uint8Array;
  readonly before: SealedObject | undefined;
  readonly after: SealedObject | undefined;
}

/** A chunk that is about to be read, by what is known of it already. */
export interface ExpectedChunk {
  readonly ref: ChunkRef;
  readonly level: number;
}

/**
 * Fetches and decodes a chunk.
 *
 * @throws {IntegrityError} `seal-invalid` — it is not what the chunk above it says
 */
export async function fetchChunk({ ref, level }: ExpectedChunk, fetch: FetchChunk): Promise<Chunk> {
  const chunk = readChunk(unpackChunk(await fetch(ref.digest), ref.digest));
  if (chunk.level !== level) throw sealInvalid('its levels do not fit');
  const found = summaryOf(chunk);
  if (found.objects !== ref.objects || compareSealedPaths(found.first, ref.first) !== 0) {
    throw sealInvalid('a part of it is not what the part above it says');
  }
  return chunk;
}

/** The topmost chunk of a list, of which only the digest is known. */
export async function fetchRoot(
  root: Uint8Array,
  fetch: FetchChunk,
): Promise<{ readonly chunk: Chunk; readonly expected: ExpectedChunk }> {
  const chunk = readChunk(unpackChunk(await fetch(root), root));
  const ref = { digest: root, ...summaryOf(chunk) };
  return { chunk, expected: { ref, level: chunk.level } };
}

function summaryOf(chunk: Chunk): Pick<ChunkRef, 'first' | 'objects'> {
  const [first] = isLeaf(chunk) ? chunk.objects : chunk.children;
  if (first === undefined) throw sealInvalid('a part of it is empty');
  const objects = isLeaf(chunk)
    ? chunk.objects.length
    : chunk.children.reduce((sum, child) => sum + child.objects, 0);
  return { objects, first: 'path' in first ? first.path : first.first };
}

function isLeaf(chunk: Chunk): chunk is Extract<Chunk, { level: 0 }> {
  return 'objects' in chunk;
}

/** The objects of a list, in order. @throws {IntegrityError} `seal-invalid` */
export async function* sealedObjects(
  root: Uint8Array | undefined,
  fetch: FetchChunk,
): AsyncGenerator<SealedObject> {
  const cursor = await Cursor.open(root, fetch);
  for (let item = cursor.item; item !== undefined; item = cursor.item) {
    if ('level' in item) {
      await cursor.enter();
      continue;
    }
    yield item;
    cursor.skip();
  }
}

/**
 * The object of a path.
 *
 * @returns undefined when the list has none
 * @throws {IntegrityError} `seal-invalid`
 */
export async function findSealed(
  root: Uint8Array | undefined,
  path: Uint8Array,
  fetch: FetchChunk,
): Promise<SealedObject | undefined> {
  if (root === undefined) return undefined;
  let { chunk } = await fetchRoot(root, fetch);
  while (!isLeaf(chunk)) {
    const { level } = chunk;
    const ref = chunk.children.findLast(({ first }) => compareSealedPaths(first, path) <= 0);
    if (ref === undefined) return undefined;
    chunk = await fetchChunk({ ref, level: level - 1 }, fetch);
  }
  return chunk.objects.find((object) => compareSealedPaths(object.path, path) === 0);
}

/**
 * What differs between two lists, in order of the paths. Chunks that both have are not fetched.
 *
 * @throws {IntegrityError} `seal-invalid`
 */
export async function* sealedDifferences(
  before: Uint8Array | undefined,
  after: Uint8Array | undefined,
  fetch: FetchChunk,
): AsyncGenerator<SealedDifference> {
  const old = await Cursor.open(before, fetch);
  const now = await Cursor.open(after, fetch);
  for (;;) {
    const [a, b] = [old.item, now.item];
    if (a === undefined && b === undefined) return;
    if (a !== undefined && b !== undefined && isSameChunk(a, b)) {
      old.skip();
      now.skip();
      continue;
    }
    const order = compareItems(a, b);
    // Of two chunks the one that begins earlier is opened, so that the other may still be met.
    if (a !== undefined && 'level' in a && (order <= 0 || !isChunk(b))) await old.enter();
    else if (b !== undefined && 'level' in b) await now.enter();
    else {
      const isBefore = a !== undefined && order <= 0;
      const isAfter = b !== undefined && order >= 0;
      const pair = {
        before: isBefore && !('level' in a) ? a : undefined,
        after: isAfter && !('level' in b) ? b : undefined,
      };
      const { path } = pair.before ?? pair.after ?? {};
      if (path !== undefined && !isEqualObject(pair.before, pair.after)) yield { path, ...pair };
      if (isBefore) old.skip();
      if (isAfter) now.skip();
    }
  }
}

type Item = SealedObject | ExpectedChunk;

function isChunk(item: Item | undefined): item is ExpectedChunk {
  return item !== undefined && 'level' in item;
}

function isSameChunk(a: Item, b: Item): boolean {
  return isChunk(a) && isChunk(b) && Buffer.compare(a.ref.digest, b.ref.digest) === 0;
}

/** By where they begin; of those that begin together, the higher chunk first; nothing is last. */
function compareItems(a: Item | undefined, b: Item | undefined): number {
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  const order = compareSealedPaths(beginningOf(a), beginningOf(b));
  if (order !== 0) return order;
  return (isChunk(b) ? b.level + 1 : 0) - (isChunk(a) ? a.level + 1 : 0);
}

function beginningOf(item: Item): Uint8Array {
  return isChunk(item) ? item.ref.first : item.path;
}

function isEqualObject(a: SealedObject | undefined, b: SealedObject | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return encoded(a).equals(encoded(b));
}

function encoded(object: SealedObject): Buffer {
  const writer = new ByteWriter();
  writeSealedObject(writer, object, startOfChunk());
  return writer.written();
}

/** A place in a list: before a chunk that was not read yet, or before an object. */
class Cursor {
  readonly #fetch: FetchChunk;
  /** What is still to come, the next last. */
  readonly #items: Item[] = [];

  private constructor(fetch: FetchChunk) {
    this.#fetch = fetch;
  }

  static async open(root: Uint8Array | undefined, fetch: FetchChunk): Promise<Cursor> {
    const cursor = new Cursor(fetch);
    if (root !== undefined) cursor.#items.push((await fetchRoot(root, fetch)).expected);
    return cursor;
  }

  get item(): Item | undefined {
    return this.#items.at(-1);
  }

  /** Passes over an object, or over all of a chunk. */
  skip(): void {
    this.#items.pop();
  }

  /** Opens the chunk that is next. */
  async enter(): Promise<void> {
    const item = this.#items.pop();
    if (!isChunk(item) || item.level > LEVELS_MAX) return;
    const chunk = await fetchChunk(item, this.#fetch);
    const members = isLeaf(chunk)
      ? chunk.objects
      : chunk.children.map((ref) => ({ ref, level: item.level - 1 }));
    for (let i = members.length - 1; i >= 0; i--) {
      const member = members[i];
      if (member !== undefined) this.#items.push(member);
    }
  }
}
