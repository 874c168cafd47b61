/**
 * Properties that an adopted copy keeps. A copy that stock gocryptfs wrote has random directory
 * IVs, random nonces in its symlinks, and mtimes of its own on its special files. Once they are
 * recorded, the view reproduces them, so adopting transfers nothing.
 */
import { createHash } from 'node:crypto';
import { ByteReader } from '../bytes/byte-reader.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import { BugError, VaultError } from '../errors.ts';
import {
  CIPHER_PATH_LENGTH_MAX,
  CIPHER_TARGET_LENGTH_MAX,
  DIR_IV_LENGTH,
} from '../gocryptfs/format/limits.ts';
import { pathKey } from '../bytes/paths.ts';

/**
 * A file that exists only in a view: the conf, a directory's IV, or a full name; in a plain mirror,
 * the marker file.
 */
export type VirtualKind = 'conf' | 'diriv' | 'name' | 'mirror';

/** Attributes of a virtual file as the copy has them. */
export interface VirtualAttributes {
  /** Permission bits, without a file type. */
  readonly mode: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

/** The virtual files whose attributes are inherited; those of the conf come from the vault. */
export type InheritedKind = Exclude<VirtualKind, 'conf' | 'mirror'>;

/**
 * Looks up what the copy had when it was adopted. Paths are plaintext: the directory's path for a
 * diriv, the object's path for a `.name` file.
 */
export interface Inherited {
  /** The 16 bytes of a directory's `gocryptfs.diriv`. */
  dirIV(plainPath: Uint8Array): Uint8Array | undefined;
  /** The stored target of a symlink; used while it decrypts to the link's current target. */
  target(plainPath: Uint8Array): Uint8Array | undefined;
  virtualAttributes(kind: InheritedKind, plainPath: Uint8Array): VirtualAttributes | undefined;
}

/** All that is inherited for one plaintext path. */
interface Legacy {
  dirIV?: Uint8Array;
  target?: Uint8Array;
  diriv?: VirtualAttributes;
  name?: VirtualAttributes;
}

const KINDS = ['diriv', 'name'] as const;
/** Bits that say which parts a record has. */
const HAS_DIR_IV = 1;
const HAS_TARGET = 2;
const KIND_BITS = { diriv: 4, name: 8 } as const;
const PARTS_MASK = 0x0f;

const MAGIC = Buffer.from('ecsync adopted\0', 'latin1');
const VERSION = 1;
const CHECKSUM_LENGTH = 32;
/** Limit of records of one copy: a larger index would not fit into memory anyway. */
const RECORD_COUNT_MAX = 2 ** 24;
const ATTRIBUTES_LENGTH = 2 + 8 + 4;
const NSEC_MAX = 999_999_999;

/** {@link Inherited} in memory, and as bytes to be stored. */
export class InheritedIndex implements Inherited {
  readonly #legacies = new Map<string, Legacy>();

  /** Number of plaintext paths with inherited properties. */
  get size(): number {
    return this.#legacies.size;
  }

  dirIV(plainPath: Uint8Array): Uint8Array | undefined {
    return this.#legacies.get(pathKey(plainPath))?.dirIV;
  }

  target(plainPath: Uint8Array): Uint8Array | undefined {
    return this.#legacies.get(pathKey(plainPath))?.target;
  }

  virtualAttributes(kind: InheritedKind, plainPath: Uint8Array): VirtualAttributes | undefined {
    return this.#legacies.get(pathKey(plainPath))?.[kind];
  }

  /**
   * @param dirIV - 16 bytes, copied
   * @throws {BugError} `invariant` — another length
   */
  setDirIV(plainPath: Uint8Array, dirIV: Uint8Array): void {
    if (dirIV.length !== DIR_IV_LENGTH) {
      throw new BugError('invariant', `a directory IV of ${dirIV.length} bytes`);
    }
    this.#legacy(plainPath).dirIV = Buffer.from(dirIV);
  }

  /**
   * @param cipherTarget - 1 … 4095 bytes, as stored in the copy; copied
   * @throws {BugError} `invariant` — another length
   */
  setTarget(plainPath: Uint8Array, cipherTarget: Uint8Array): void {
    if (cipherTarget.length < 1 || cipherTarget.length > CIPHER_TARGET_LENGTH_MAX) {
      throw new BugError('invariant', `a symlink target of ${cipherTarget.length} bytes`);
    }
    this.#legacy(plainPath).target = Buffer.from(cipherTarget);
  }

  /** @param attributes - only the permission bits of `mode` are kept */
  setVirtualAttributes(
    kind: InheritedKind,
    plainPath: Uint8Array,
    { mode, mtimeSec, mtimeNsec }: VirtualAttributes,
  ): void {
    this.#legacy(plainPath)[kind] = { mode: mode & 0o7777, mtimeSec, mtimeNsec };
  }

  /**
   * The index as bytes; the same content always gives the same bytes. Integers are little-endian.
   *
   *     1. "ecsync adopted" ‖ 00   2. version 1: u8   3. count: u32
   *     4. count records, by path:
   *        4.1 parts: u8   4.2 path length: u16 ‖ path
   *        4.3 parts & 1: directory IV[16]
   *        4.4 parts & 2: target length: u16 ‖ target
   *        4.5 parts & 4, 8: diriv, .name: mode u16 ‖ mtime sec i64 ‖ mtime nsec u32
   *     5. SHA-256[32] of everything before
   *
   * @returns inverse: {@link InheritedIndex.decode}
   */
  encode(): Buffer {
    const sorted = [...this.#legacies].sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
    const writer = new ByteWriter(1024);
    writer.bytes(MAGIC); // 1.
    writer.byte(VERSION); // 2.
    writer.int32(sorted.length); // 3.
    for (const [key, legacy] of sorted) writeLegacy(writer, Buffer.from(key, 'latin1'), legacy);
    writer.bytes(createHash('sha256').update(writer.written()).digest()); // 5.
    return writer.copy();
  }

  /**
   * @throws {VaultError} `adopted-invalid` — damaged, cut short, or of another version
   */
  static decode(bytes: Uint8Array): InheritedIndex {
    const bodyLength = bytes.length - CHECKSUM_LENGTH;
    if (bodyLength < MAGIC.length + 5 || !MAGIC.equals(bytes.subarray(0, MAGIC.length))) {
      throw invalid('it is not an index of an adopted copy');
    }
    const body = bytes.subarray(0, bodyLength);
    if (!createHash('sha256').update(body).digest().equals(bytes.subarray(bodyLength))) {
      throw invalid('its checksum does not fit');
    }
    const index = new InheritedIndex();
    const reader = new ByteReader(body.subarray(MAGIC.length));
    const isWhole = reader.attempt(() => {
      const version = reader.byte();
      if (version !== VERSION)
        throw invalid(`version ${version}, this release supports ${VERSION}`);
      const count = reader.uint32();
      if (count > RECORD_COUNT_MAX) throw invalid(`${count} records`);
      for (let i = 0; i < count; i++) index.#readLegacy(reader);
      return reader.available === 0;
    });
    if (isWhole !== true) throw invalid('its length does not fit its content');
    return index;
  }

  #legacy(plainPath: Uint8Array): Legacy {
    if (plainPath.length < 1 || plainPath.length > CIPHER_PATH_LENGTH_MAX) {
      throw new BugError('invariant', `a plaintext path of ${plainPath.length} bytes`);
    }
    const key = pathKey(plainPath);
    let legacy = this.#legacies.get(key);
    if (legacy === undefined) {
      legacy = {};
      this.#legacies.set(key, legacy);
    }
    return legacy;
  }

  #readLegacy(reader: ByteReader): void {
    const parts = reader.byte(); // 4.1
    if ((parts & ~PARTS_MASK) !== 0) throw invalid(`a record with the parts ${parts}`);
    const pathLength = reader.uint16(); // 4.2
    if (pathLength < 1 || pathLength > CIPHER_PATH_LENGTH_MAX) {
      throw invalid(`a path of ${pathLength} bytes`);
    }
    const path = reader.copy(pathLength);
    if ((parts & HAS_DIR_IV) !== 0) this.setDirIV(path, reader.bytes(DIR_IV_LENGTH)); // 4.3
    if ((parts & HAS_TARGET) !== 0) {
      const length = reader.uint16(); // 4.4
      if (length < 1 || length > CIPHER_TARGET_LENGTH_MAX) {
        throw invalid(`a symlink target of ${length} bytes`);
      }
      this.setTarget(path, reader.bytes(length));
    }
    for (const kind of KINDS) {
      if ((parts & KIND_BITS[kind]) === 0) continue;
      this.setVirtualAttributes(kind, path, readAttributes(reader)); // 4.5
    }
  }
}

function writeLegacy(writer: ByteWriter, path: Uint8Array, legacy: Legacy): void {
  const { dirIV, target } = legacy;
  let parts = (dirIV === undefined ? 0 : HAS_DIR_IV) + (target === undefined ? 0 : HAS_TARGET);
  for (const kind of KINDS) if (legacy[kind] !== undefined) parts += KIND_BITS[kind];
  writer.byte(parts); // 4.1
  writer.uint16(path.length); // 4.2
  writer.bytes(path);
  if (dirIV !== undefined) writer.bytes(dirIV); // 4.3
  if (target !== undefined) {
    writer.uint16(target.length); // 4.4
    writer.bytes(target);
  }
  for (const kind of KINDS) {
    const attributes = legacy[kind];
    if (attributes !== undefined) writeAttributes(writer, attributes); // 4.5
  }
}

function writeAttributes(writer: ByteWriter, attributes: VirtualAttributes): void {
  const packed = Buffer.alloc(ATTRIBUTES_LENGTH);
  packed.writeUInt16LE(attributes.mode, 0);
  packed.writeBigInt64LE(BigInt(attributes.mtimeSec), 2);
  packed.writeUInt32LE(attributes.mtimeNsec, 10);
  writer.bytes(packed);
}

function readAttributes(reader: ByteReader): VirtualAttributes {
  const packed = reader.bytes(ATTRIBUTES_LENGTH);
  const mode = packed.readUInt16LE(0);
  const mtimeSec = Number(packed.readBigInt64LE(2));
  const mtimeNsec = packed.readUInt32LE(10);
  if (mode > 0o7777 || !Number.isSafeInteger(mtimeSec) || mtimeNsec > NSEC_MAX) {
    throw invalid(`attributes ${mode}, ${mtimeSec}, ${mtimeNsec}`);
  }
  return { mode, mtimeSec, mtimeNsec };
}

function invalid(why: string): VaultError {
  return new VaultError('adopted-invalid', `the index of the adopted copy cannot be used: ${why}`, {
    hint: 'Adopt the copy again; that does not change the copy.',
  });
}
