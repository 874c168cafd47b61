/** Encrypts a small file in one go. */
import { fileBuffers } from '../../bytes/buffer-pool.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import { packFileHeader } from '../../gocryptfs/format/file-header.ts';
import { FILE_HEADER_LENGTH } from '../../gocryptfs/format/limits.ts';
import { plainSizeToCipherSize } from '../../gocryptfs/format/sizes.ts';
import type { WholeFile } from '../../tree/entry.ts';
import { readListedFile, ReadPace } from '../../tree/local/local-file.ts';
import type { FileToEncrypt } from './encryption-jobs.ts';

/**
 * Reads a file of a local folder whole, and encrypts it.
 *
 * @param room.plain - for the plaintext
 * @param room.out - receives the ciphertext at its start
 * @returns bytes written; undefined when the file differs from its listing, or does not fit
 * @throws the system's own error
 */
export function encryptWhole(
  { fullPath, listed, identity }: FileToEncrypt,
  content: ContentEncryption,
  { plain, out }: { readonly plain: Buffer; readonly out: Buffer },
): number | undefined {
  const length = plainSizeToCipherSize(listed.size, content.overhead);
  if (listed.size > plain.length || length > out.length) return undefined;
  if (!readListedFile(fullPath, listed, plain)) return undefined;
  if (listed.size === 0) return 0;
  packFileHeader(identity.fileID).copy(out);
  const run = { firstBlock: 0, identity, plain: plain.subarray(0, listed.size) };
  content.encryptBlocks(run, out.subarray(FILE_HEADER_LENGTH));
  return length;
}

/**
 * Plaintext up to this size is read synchronously: from the cache, that takes less time than an
 * asynchronous request.
 */
const WHOLE_LENGTH_MAX = 32 * 1024;

/** Encrypts small files in this thread, each in one go. */
export class WholeFiles {
  readonly #content: ContentEncryption;
  readonly #plain = Buffer.allocUnsafeSlow(WHOLE_LENGTH_MAX);
  readonly #pace = new ReadPace();

  constructor(content: ContentEncryption) {
    this.#content = content;
  }

  /**
   * @param size - of the ciphertext as listed
   * @returns undefined for a large file, on a slow disk, and on any error, which the caller meets
   *   when it opens the file
   */
  open(file: FileToEncrypt, size: number): WholeFile | undefined {
    if (file.listed.size > WHOLE_LENGTH_MAX || !this.#pace.isFast) return undefined;
    const startMs = performance.now();
    const out = fileBuffers.take(size);
    const release = (): void => {
      fileBuffers.give(out);
    };
    const length = this.#encrypt(file, out);
    this.#pace.add(performance.now() - startMs);
    if (length !== undefined) return { bytes: out.subarray(0, length), release };
    release();
    return undefined;
  }

  #encrypt(file: FileToEncrypt, out: Buffer): number | undefined {
    try {
      return encryptWhole(file, this.#content, { plain: this.#plain, out });
    } catch {
      return undefined; // whoever opens the file meets the error again
    }
  }
}
