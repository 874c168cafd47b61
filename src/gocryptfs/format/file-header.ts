/** The header at the start of every non-empty cipher file: the version and the file ID. */
import { IntegrityError } from '../../errors.ts';
import { FILE_HEADER_LENGTH, FILE_ID_LENGTH, ON_DISK_VERSION } from './limits.ts';

/** True when every byte is zero: the value that stock refuses for IDs, IVs and nonces. */
export function isAllZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

/**
 * The start of every non-empty cipher file. Inverse of {@link parseFileHeader}.
 *
 *     offset  length
 *      0       2      1. version, big endian: 2
 *      2      16      2. file ID, not all zero
 *
 * @see gocryptfs internal/contentenc/file_header.go (v2.6.1)
 */
export function packFileHeader(fileID: Uint8Array): Buffer {
  const header = Buffer.alloc(FILE_HEADER_LENGTH);
  header.writeUInt16BE(ON_DISK_VERSION, 0); // 1.
  header.set(fileID, 2); // 2.
  return header;
}

/**
 * The file ID of a cipher file that starts with `bytes`: a copy.
 *
 * @param bytes - at least the first 18 bytes of the file
 * @throws {IntegrityError} `header-invalid` — too short, another version, or an all-zero ID
 */
export function parseFileHeader(bytes: Uint8Array): Uint8Array {
  const invalid = (why: string) =>
    new IntegrityError('header-invalid', `the header of the encrypted file ${why}`, {
      hint: 'The encrypted file is damaged. Push it again from the source.',
    });
  const [high, low] = bytes;
  if (high === undefined || low === undefined || bytes.length < FILE_HEADER_LENGTH) {
    throw invalid('is incomplete');
  }
  const version = high * 256 + low; // 1.
  if (version !== ON_DISK_VERSION) throw invalid(`has version ${version} instead of 2`);
  const fileID = Uint8Array.from(bytes.subarray(2, 2 + FILE_ID_LENGTH)); // 2.
  if (isAllZero(fileID)) throw invalid('has no file ID');
  return fileID;
}
