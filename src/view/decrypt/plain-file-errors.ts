/** What is said of an encrypted file that is not what it should be. */
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
    throw aboutFile(error, path);
  }
}

/**
 * A header without content in a file that ecsync wrote. It stores empty files without one, so that this was
 * cut off; from gocryptfs itself and other programs it is an empty file.
 */
export function bareHeader(): IntegrityError {
  return new IntegrityError('cipher-size-illegal', 'a header without content', {
    hint: 'The encrypted file was cut or damaged. Push it again from the source.',
  });
}

/** The same failure, saying which file it is about; anything unforeseen as it is. */
export function aboutFile(error: unknown, path: Uint8Array): unknown {
  return error instanceof IntegrityError ? inFile(error, path) : error;
}

/** The same failure, saying which file and block it is about. */
export function inFile(error: IntegrityError, path: Uint8Array, blockNo?: number): IntegrityError {
  const { hint, code } = error;
  const shownPath = showPath(path);
  const where = blockNo === undefined ? '' : `block ${blockNo} of `;
  return new IntegrityError(code, `${where}${shownPath}: ${error.message}`, {
    ...(hint === undefined ? {} : { hint }),
    facts: { ...error.facts, path: shownPath, ...(blockNo === undefined ? {} : { blockNo }) },
    cause: error,
  });
}
