/** One object of a sealed list as bytes. */
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { hasOnlyNames } from '../bytes/paths.ts';
import type { Xattr } from '../tree/entry.ts';
import { type SealReader, writeByteString, writeSigned, writeLeb128 } from './numbers.ts';
import {
  compareSealedPaths,
  CONTENT_ID_LENGTH,
  IDENTITY_LENGTH,
  type SealedAttributes,
  SealedKind,
  type SealedObject,
  sealInvalid,
} from './sealed-object.ts';

const KIND_BITS = 0x0f;
const HAS_CONTENT_ID = 0x10;
const HAS_IDENTITY = 0x20;
const HAS_XATTRS = 0x40;
/** Mode, uid and gid are those of the object before. */
const SAME_RIGHTS = 0x80;

const MODE_MAX = 0o7777;
const ID_MAX = 0xffff_ffff;
const NSEC_MAX = 999_999_999;
const DEVICE_MAX = 0xffff_ffff;
export const SEALED_PATH_LENGTH_MAX = 65_535;
const XATTRS_MAX = 1024;
const XATTR_NAME_MAX = 255;
const XATTR_VALUE_MAX = 65_536;

/** What the coding of an object refers to: the object before it in its chunk. */
export interface CodingState {
  path: Uint8Array;
  mode: number;
  uid: number;
  gid: number;
  mtimeSec: number;
}

/** Where each chunk begins. */
export function startOfChunk(): CodingState {
  return { path: new Uint8Array(0), mode: 0, uid: 0, gid: 0, mtimeSec: 0 };
}

/**
 * ```text
 *  varint   bytes of the path that it shares with the path before
 *  string   the rest of the path
 *  byte     kind | 10 content id | 20 identity | 40 xattrs | 80 same rights
 *  — of a link only:
 *  string   the least name of the file
 *  — of everything else:
 *  varint   mode, uid, gid                     unless 80
 *  signed   seconds, less those of the object before
 *  varint   nanoseconds
 *  varint   size                               files
 *  string   target                             symlinks
 *  varint   major, minor                       devices
 *  16 bytes content id                         if 10; files only
 *  16 bytes directory IV or file ID            if 20; folders and files only
 *  varint   how many xattrs; string name, string value of each     if 40
 * ```
 *
 * Inverse of {@link readSealedObject}.
 *
 * @param before - is moved on to this object
 */
export function writeSealedObject(
  writer: ByteWriter,
  object: SealedObject,
  before: CodingState,
): void {
  const shared = sharedLength(before.path, object.path);
  writeLeb128(writer, shared);
  writeByteString(writer, object.path.subarray(shared));
  before.path = object.path;
  if (object.kind === SealedKind.link) {
    writer.byte(object.kind);
    writeByteString(writer, object.target);
    return;
  }
  const { mode, uid, gid, mtimeSec, mtimeNsec, xattrs } = object;
  const isSame = mode === before.mode && uid === before.uid && gid === before.gid;
  const contentId = object.kind === SealedKind.file ? object.contentId : undefined;
  const identity = 'identity' in object ? object.identity : undefined;
  writer.byte(
    object.kind |
      (contentId === undefined ? 0 : HAS_CONTENT_ID) |
      (identity === undefined ? 0 : HAS_IDENTITY) |
      (xattrs === undefined ? 0 : HAS_XATTRS) |
      (isSame ? SAME_RIGHTS : 0),
  );
  if (!isSame) for (const number of [mode, uid, gid]) writeLeb128(writer, number);
  writeSigned(writer, mtimeSec - before.mtimeSec);
  writeLeb128(writer, mtimeNsec);
  writeOwnFields(writer, object);
  if (contentId !== undefined) writer.bytes(contentId);
  if (identity !== undefined) writer.bytes(identity);
  if (xattrs !== undefined) writeXattrs(writer, xattrs);
  Object.assign(before, { mode, uid, gid, mtimeSec });
}

function writeOwnFields(writer: ByteWriter, object: SealedObject): void {
  if (object.kind === SealedKind.file) writeLeb128(writer, object.size);
  else if (object.kind === SealedKind.symlink) writeByteString(writer, object.target);
  else if ('rdev' in object) {
    writeLeb128(writer, object.rdev.major);
    writeLeb128(writer, object.rdev.minor);
  }
}

function writeXattrs(writer: ByteWriter, xattrs: readonly Xattr[]): void {
  writeLeb128(writer, xattrs.length);
  for (const { name, value } of xattrs) {
    writeByteString(writer, name);
    writeByteString(writer, value);
  }
}

/**
 * Inverse of {@link writeSealedObject}.
 *
 * @param before - is moved on to this object
 * @throws {IntegrityError} `seal-invalid` — also for what is not in its one form
 */
export function readSealedObject(reader: SealReader, before: CodingState): SealedObject {
  const path = readPath(reader, before.path);
  before.path = path;
  const flags = reader.byte();
  const kind = flags & KIND_BITS;
  if (kind === SealedKind.link) {
    if (flags !== kind) throw sealInvalid('a link has fields of a file');
    const target = reader.byteString(SEALED_PATH_LENGTH_MAX);
    if (compareSealedPaths(target, path) >= 0) throw sealInvalid('a link refers to a later name');
    return { path, kind, target };
  }
  const attributes = readAttributes(reader, flags, before);
  if (kind === SealedKind.folder) {
    const identity = readIdentity(reader, flags, HAS_IDENTITY);
    return { path, kind, ...attributes, ...identity, ...readXattrs(reader, flags) };
  }
  if (kind === SealedKind.file) {
    const size = reader.varint();
    const contentId = (flags & HAS_CONTENT_ID) === 0 ? undefined : reader.bytes(CONTENT_ID_LENGTH);
    const identity = readIdentity(reader, flags, HAS_IDENTITY | HAS_CONTENT_ID);
    const id = contentId === undefined ? {} : { contentId };
    return { path, kind, size, ...attributes, ...id, ...identity, ...readXattrs(reader, flags) };
  }
  readIdentity(reader, flags, 0);
  if (kind === SealedKind.symlink) {
    const target = reader.byteString(SEALED_PATH_LENGTH_MAX);
    return { path, kind, target, ...attributes, ...readXattrs(reader, flags) };
  }
  if (kind === SealedKind.pipe || kind === SealedKind.socket) {
    return { path, kind, ...attributes, ...readXattrs(reader, flags) };
  }
  if (kind !== SealedKind.characterDevice && kind !== SealedKind.blockDevice) {
    throw sealInvalid(`it lists an object of the unknown kind ${kind}`);
  }
  const rdev = { major: reader.varint(DEVICE_MAX), minor: reader.varint(DEVICE_MAX) };
  return { path, kind, rdev, ...attributes, ...readXattrs(reader, flags) };
}

function readPath(reader: SealReader, before: Uint8Array): Uint8Array {
  const shared = reader.varint(before.length);
  const rest = reader.byteString(SEALED_PATH_LENGTH_MAX - shared);
  if (shared < before.length && rest.length > 0 && rest[0] === before[shared]) {
    throw sealInvalid('a path is not in its shortest form');
  }
  const path = new Uint8Array(shared + rest.length);
  path.set(before.subarray(0, shared));
  path.set(rest, shared);
  // The path of the top is empty.
  if (path.length > 0 && !hasOnlyNames(path))
    throw sealInvalid('a path has a part that is no name');
  return path;
}

function readAttributes(
  reader: SealReader,
  flags: number,
  before: CodingState,
): Omit<SealedAttributes, 'xattrs'> {
  if ((flags & SAME_RIGHTS) === 0) {
    const rights = {
      mode: reader.varint(MODE_MAX),
      uid: reader.varint(ID_MAX),
      gid: reader.varint(ID_MAX),
    };
    const { mode, uid, gid } = before;
    if (rights.mode === mode && rights.uid === uid && rights.gid === gid) {
      throw sealInvalid('rights are repeated');
    }
    Object.assign(before, rights);
  }
  const mtimeSec = before.mtimeSec + reader.signed();
  if (!Number.isSafeInteger(mtimeSec)) throw sealInvalid('a time is out of range');
  before.mtimeSec = mtimeSec;
  const { mode, uid, gid } = before;
  return { mode, uid, gid, mtimeSec, mtimeNsec: reader.varint(NSEC_MAX) };
}

/** @param allowed - flags that an object of this kind may have */
function readIdentity(
  reader: SealReader,
  flags: number,
  allowed: number,
): { readonly identity?: Uint8Array } {
  if ((flags & (HAS_IDENTITY | HAS_CONTENT_ID) & ~allowed) !== 0) {
    throw sealInvalid('an object has fields of another kind');
  }
  return (flags & HAS_IDENTITY) === 0 ? {} : { identity: reader.bytes(IDENTITY_LENGTH) };
}

function readXattrs(reader: SealReader, flags: number): Pick<SealedAttributes, 'xattrs'> {
  if ((flags & HAS_XATTRS) === 0) return {};
  const count = reader.varint(XATTRS_MAX);
  if (count === 0) throw sealInvalid('an empty list of extended attributes');
  const xattrs: Xattr[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.byteString(XATTR_NAME_MAX);
    const last = xattrs.at(-1)?.name;
    if (name.length === 0 || (last !== undefined && Buffer.compare(last, name) >= 0)) {
      throw sealInvalid('extended attributes are not in order');
    }
    xattrs.push({ name, value: reader.byteString(XATTR_VALUE_MAX) });
  }
  return { xattrs };
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  return at;
}
