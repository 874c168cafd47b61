/**
 * Messages between the thread that pushes and a thread that encrypts. Every message is answered, in
 * order. Files are packed as numbers and bytes: copying tens of thousands of objects would cost
 * more than encrypting small files.
 *
 *     numbers of one file   1. length of the full path   2. device   3. inode   4. size
 *                           5. mtime seconds   6. mtime nanoseconds   7. ctime, milliseconds
 *                           8. 1 if exposed, and 2 more if sparse
 *     bytes of one file     1. full path   2. file ID[16]   3. nonce of block 0[16], or zeros
 */
import type { FeatureFlag } from '../../gocryptfs/conf/feature-flags.ts';
import type { ContentKeys } from '../../gocryptfs/layout.ts';
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import { FILE_ID_LENGTH, SIV_NONCE_LENGTH } from '../../gocryptfs/format/limits.ts';
import type { ListedFile } from '../../tree/local/local-file.ts';

const NUMBERS_PER_FILE = 8;
const EXPOSED = 1;
const SPARSE = 2;
const IDENTITY_LENGTH = FILE_ID_LENGTH + SIV_NONCE_LENGTH;

/** Large enough for the largest run of any layout with its header, in steps of 4 KiB. */
export const RUN_SLOT_LENGTH = 288 * 1024;

/** A regular file as listed, with all that its ciphertext depends on. */
export interface FileToEncrypt {
  readonly fullPath: Uint8Array;
  readonly listed: ListedFile;
  readonly identity: FileIdentity;
}

/** Packed files. */
export interface PackedFiles {
  readonly numbers: Float64Array;
  readonly bytes: Uint8Array;
}

/** What a worker starts with: {@link ContentKeys} in a form that can be posted. */
export interface WorkerKeys extends Omit<ContentKeys, 'flags'> {
  readonly flags: readonly FeatureFlag[];
}

/**
 * Where a job writes its output: a piece of shared memory, which is sent with the first use only.
 */
export interface SlotReference {
  readonly number: number;
  readonly memory?: SharedArrayBuffer;
}

/** Small files, whole: their ciphertexts go into the slot one after the other. */
interface WholeJob {
  readonly kind: 'whole';
  readonly files: PackedFiles;
}

/** A run of blocks of an open file. */
export interface RunJob {
  readonly kind: 'run';
  readonly file: number;
  readonly firstBlock: number;
  readonly plainLength: number;
  /** Offset of the blocks in the slot. */
  readonly lead: number;
}

/** A job that is answered with ciphertext, in the slot that is sent with it. */
export type OutputJob = WholeJob | RunJob;

/** One message to a worker. */
export type EncryptionJob =
  | (OutputJob & { readonly slot: SlotReference })
  /** Opens a large file under a number that the pool chooses. */
  | { readonly kind: 'open'; readonly file: number; readonly files: PackedFiles }
  | { readonly kind: 'close'; readonly file: number };

/**
 * The answer.
 *
 *     whole   for each file   1. offset in the slot, or -1: it could not be opened or read, has
 *                             changed since it was listed, or does not fit   2. length
 *     open    1. plaintext size, or -1: cannot be opened
 *     run     1. plaintext bytes
 *     close   1. 0 unchanged, 1 changed
 */
export interface EncryptionAnswer {
  readonly numbers: readonly number[];
  /** Number of bytes in the slot. */
  readonly outputLength?: number;
  /** Why a run could not be read. */
  readonly failure?: { readonly errno: string; readonly message: string };
}

export const NUMBERS_PER_WHOLE = 2;

/**
 * Copies out of shared memory or into it with `fill`, which is as fast as in any memory, whereas
 * `set` and `copy` go byte by byte.
 *
 * @param length - bytes from the start of both; may be 0
 */
export function copyShared(from: Buffer, to: Buffer, length: number): void {
  if (length > 0) to.fill(from.subarray(0, length), 0, length);
}

/** Inverse of {@link unpackFiles}. */
export function packFiles(files: readonly FileToEncrypt[]): PackedFiles {
  const numbers = new Float64Array(files.length * NUMBERS_PER_FILE);
  const length = files.reduce((sum, file) => sum + file.fullPath.length + IDENTITY_LENGTH, 0);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const [i, { fullPath, listed, identity }] of files.entries()) {
    const { dev, ino, size, mtimeSec, mtimeNsec, ctimeMs, isExposed, isSparse } = listed;
    const traits = (isExposed === true ? EXPOSED : 0) + (isSparse === true ? SPARSE : 0);
    numbers.set(
      [fullPath.length, dev, ino, size, mtimeSec, mtimeNsec, ctimeMs, traits],
      i * NUMBERS_PER_FILE,
    );
    bytes.set(fullPath, at); // 1.
    bytes.set(identity.fileID, at + fullPath.length); // 2.
    if (identity.block0Nonce !== undefined) {
      bytes.set(identity.block0Nonce, at + fullPath.length + FILE_ID_LENGTH); // 3.
    }
    at += fullPath.length + IDENTITY_LENGTH;
  }
  return { numbers, bytes };
}

/** Inverse of {@link packFiles}; every identity has a nonce for block 0, used or not. */
export function unpackFiles({ numbers, bytes }: PackedFiles): FileToEncrypt[] {
  const files: FileToEncrypt[] = [];
  let at = 0;
  for (let i = 0; i < numbers.length; i += NUMBERS_PER_FILE) {
    const number = (index: number): number => numbers[i + index - 1] ?? 0;
    const pathEnd = at + number(1);
    files.push({
      fullPath: bytes.subarray(at, pathEnd),
      listed: {
        dev: number(2),
        ino: number(3),
        size: number(4),
        mtimeSec: number(5),
        mtimeNsec: number(6),
        ctimeMs: number(7),
        isExposed: (number(8) & EXPOSED) !== 0,
        isSparse: (number(8) & SPARSE) !== 0,
      },
      identity: {
        fileID: bytes.subarray(pathEnd, pathEnd + FILE_ID_LENGTH),
        block0Nonce: bytes.subarray(pathEnd + FILE_ID_LENGTH, pathEnd + IDENTITY_LENGTH),
      },
    });
    at = pathEnd + IDENTITY_LENGTH;
  }
  return files;
}
