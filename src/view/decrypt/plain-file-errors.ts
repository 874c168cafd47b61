/** Errors about the content of an encrypted file. */
import { IntegrityError } from '../../errors.ts';
import { cipherSizeToPlainSize } from '../../gocryptfs/format/sizes.ts';
import { showPath } from '../../tree/file-failure.ts';

/**
 * Size of the plaintext in a cipher file.
 *
 * @throws {IntegrityError} `cipher-size-illegal`, naming the file
 */
export function plainSizeOf(cipherSize: number, overhead: number, path: Uint8Array): number {
  try {
    return cipherSizeToPlainSize(cipherSize, overhead);
  } catch (error) {
    throw withFilePath(error, path);
  }
}

/**
 * The error for a header without content in a file that ecsync wrote. ecsync stores an empty file
 * without a header, so this file was cut off. From gocryptfs and other programs it is an empty
 * file.
 */
export function bareHeaderError(): IntegrityError {
  return new IntegrityError('cipher-size-illegal', 'a header without content', {
    hint: 'The encrypted file was cut or damaged. Push it again from the source.',
  });
}

/** The same error with the file's path in its message; any other error unchanged. */
export function withFilePath(error: unknown, path: Uint8Array): unknown {
  return error instanceof IntegrityError ? withPlace(error, path) : error;
}

/** The same error with the file's path and the block in its message. */
export function withPlace(
  error: IntegrityError,
  path: Uint8Array,
  blockNo?: number,
): IntegrityError {
  const { hint, code } = error;
  const shownPath = showPath(path);
  const where = blockNo === undefined ? '' : `block ${blockNo} of `;
  return new IntegrityError(code, `${where}${shownPath}: ${error.message}`, {
    ...(hint === undefined ? {} : { hint }),
    facts: { ...error.facts, path: shownPath, ...(blockNo === undefined ? {} : { blockNo }) },
    cause: error,
  });
}
