/** The chunks of a sealed list: where the list is cut, and each chunk as bytes. */
import { createHash } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';
import { ByteWriter } from '../bytes/byte-writer.ts';
import { foldedFnv } from '../bytes/folded-fnv.ts';
import { SealReader, writeByteString, writeLeb128 } from './numbers.ts';
import {
  readSealedObject,
  SEALED_PATH_LENGTH_MAX,
  startOfChunk,
  writeSealedObject,
} from './object-coding.ts';
import {
  compareSealedPaths,
  SEAL_DIGEST_LENGTH,
  type SealedObject,
  sealInvalid,
} from './sealed-object.ts';

/** A chunk ends behind a path with such a hash: after 256 objects, or 128 chunks, on average. */
const LEAF_CUT_MASK = 0xff;
const NODE_CUT_MASK = 0x7f00;
/** A chunk ends at the latest with so many members, or behind so many bytes. */
const MEMBERS_MAX = 1024;
const LENGTH_MAX = 64 * 1024;
/** One object may be longer than a chunk should be: with all its extended attributes. */
const CHUNK_LENGTH_MAX = 80 * 1024 * 1024;
/** More levels than any list needs: 128 to the power of 8 chunks. */
export const LEVELS_MAX = 8;

/** What a chunk says of another one below it. */
export interface ChunkRef {
  /** SHA-256 of the chunk, 32 bytes. */
  readonly digest: Uint8Array;
  /** The path of the first object in it. */
  readonly first: Uint8Array;
  /** Objects in it and below it. */
  readonly objects: number;
}

/** A chunk that is complete. */
export interface FinishedChunk extends ChunkRef {
  readonly bytes: Buffer;
}

/** A decoded chunk: of level 0 it holds objects, of a higher level chunks of the level below. */
export type Chunk =
  | { readonly level: 0; readonly objects: readonly SealedObject[] }
  | { readonly level: number; readonly children: readonly ChunkRef[] };

/** Whether a leaf ends behind the object of this path. */
export function isLeafEnd(path: Uint8Array): boolean {
  return (foldedFnv(path) & LEAF_CUT_MASK) === 0;
}

/** Whether a chunk of a higher level ends behind the child whose first object has this path. */
export function isNodeEnd(first: Uint8Array): boolean {
  return (foldedFnv(first) & NODE_CUT_MASK) === 0;
}

/** Collects the members of one level into chunks. */
export class ChunkWriter {
  readonly #level: number;
  readonly #writer = new ByteWriter(LENGTH_MAX);
  #before = startOfChunk();
  #first: Uint8Array | undefined;
  #members = 0;
  #objects = 0;

  /** @param level - 0 for objects */
  constructor(level: number) {
    this.#level = level;
  }

  get isEmpty(): boolean {
    return this.#members === 0;
  }

  /** @returns the chunk that ends with this object */
  addObject(object: SealedObject): FinishedChunk | undefined {
    this.#first ??= object.path;
    writeSealedObject(this.#writer, object, this.#before);
    this.#objects++;
    return this.#added(isLeafEnd(object.path));
  }

  /** @returns the chunk that ends with this child */
  addChild({ digest, first, objects }: ChunkRef): FinishedChunk | undefined {
    this.#first ??= first;
    writeByteString(this.#writer, first);
    writeLeb128(this.#writer, objects);
    this.#writer.bytes(digest);
    this.#objects += objects;
    return this.#added(isNodeEnd(first));
  }

  #added(isEnd: boolean): FinishedChunk | undefined {
    this.#members++;
    const isFull = this.#members === MEMBERS_MAX || this.#writer.length >= LENGTH_MAX;
    return isEnd || isFull ? this.finish() : undefined;
  }

  /**
   * ```text
   *  byte     level
   *  varint   members
   *  — level 0: the objects, see writeSealedObject
   *  — else, of each child:
   *  string   path of its first object
   *  varint   objects in it and below it
   *  32 bytes SHA-256 of it
   * ```
   *
   * @returns the members so far as a chunk; undefined when there are none
   */
  finish(): FinishedChunk | undefined {
    if (this.#first === undefined) return undefined;
    const header = new ByteWriter(8);
    header.byte(this.#level);
    writeLeb128(header, this.#members);
    const bytes = Buffer.concat([header.written(), this.#writer.written()]);
    const chunk = { bytes, digest: digestOf(bytes), first: this.#first, objects: this.#objects };
    this.#writer.clear();
    this.#before = startOfChunk();
    this.#first = undefined;
    this.#members = 0;
    this.#objects = 0;
    return chunk;
  }
}

/**
 * Decodes a chunk whose digest is right.
 *
 * @throws {IntegrityError} `seal-invalid` — also for what is not in its one form
 */
export function readChunk(bytes: Uint8Array): Chunk {
  const reader = new SealReader(bytes);
  const level = reader.byte();
  if (level > LEVELS_MAX) throw sealInvalid('it has too many levels');
  const count = reader.varint(MEMBERS_MAX);
  if (count === 0) throw sealInvalid('a part of it is empty');
  const chunk = level === 0 ? readLeaf(reader, count) : readNode(reader, level, count);
  if (!reader.isAtEnd) throw sealInvalid('a part of it is too long');
  return chunk;
}

function readLeaf(reader: SealReader, count: number): Chunk {
  const objects: SealedObject[] = [];
  const before = startOfChunk();
  const start = reader.position;
  for (let i = 0; i < count; i++) {
    const last = objects.at(-1)?.path;
    const object = readSealedObject(reader, before);
    if (last !== undefined && compareSealedPaths(last, object.path) >= 0) {
      throw sealInvalid('its list is not in order');
    }
    objects.push(object);
    const isFull = reader.position - start >= LENGTH_MAX;
    if (i < count - 1 && (isFull || isLeafEnd(object.path))) {
      throw sealInvalid('it is cut in another place than it should be');
    }
  }
  return { level: 0, objects };
}

function readNode(reader: SealReader, level: number, count: number): Chunk {
  const children: ChunkRef[] = [];
  const start = reader.position;
  for (let i = 0; i < count; i++) {
    const last = children.at(-1)?.first;
    const first = reader.byteString(SEALED_PATH_LENGTH_MAX);
    if (last !== undefined && compareSealedPaths(last, first) >= 0) {
      throw sealInvalid('its list is not in order');
    }
    const objects = reader.varint();
    if (objects === 0) throw sealInvalid('a part of it is empty');
    children.push({ first, objects, digest: reader.bytes(SEAL_DIGEST_LENGTH) });
    const isFull = reader.position - start >= LENGTH_MAX;
    if (i < count - 1 && (isFull || isNodeEnd(first))) {
      throw sealInvalid('it is cut in another place than it should be');
    }
  }
  return { level, children };
}

/** SHA-256, by which chunks and heads are named. */
export function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** A chunk as it is stored: compressed (zlib, RFC 1950). Inverse of {@link unpackChunk}. */
export function packChunk(bytes: Uint8Array): Buffer {
  return deflateSync(bytes);
}

/**
 * Inverse of {@link packChunk}.
 *
 * @throws {IntegrityError} `seal-invalid` — it is not the chunk of this digest
 */
export function unpackChunk(stored: Uint8Array, digest: Uint8Array): Buffer {
  let bytes: Buffer;
  try {
    bytes = inflateSync(stored, { maxOutputLength: CHUNK_LENGTH_MAX });
  } catch {
    throw sealInvalid('a part of it cannot be decompressed');
  }
  if (!digestOf(bytes).equals(digest)) throw sealInvalid('a part of it is another one');
  return bytes;
}
