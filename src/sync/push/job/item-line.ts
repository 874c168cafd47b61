/** One changed object in plaintext, as a line of `-i`. */
import { isDirectory, isSymlink, type Entry } from '../../../tree/entry.ts';
import { showPath } from '../../../tree/file-failure.ts';
import { isHardLink, itemize } from './itemize.ts';
import type { ItemLine } from '../source/push-settings.ts';

/** The plaintext of an object. */
export interface PlainObject {
  readonly path: Uint8Array;
  /** Of a symlink. */
  readonly target?: Uint8Array | undefined;
}

/**
 * The line of `-i` for an item record.
 *
 * @param about.linkedTo - the plaintext name that a hard link points to
 */
export function itemLine(
  entry: Pick<Entry, 'mode'>,
  iflags: number,
  { plain, linkedTo }: { readonly plain: PlainObject; readonly linkedTo?: Uint8Array | undefined },
): ItemLine {
  const line: ItemLine = {
    change: itemize(entry.mode, iflags),
    path: isDirectory(entry) ? withSlash(plain.path) : plain.path,
    plain: true,
  };
  if (isHardLink(iflags) && linkedTo !== undefined) {
    return { ...line, target: { arrow: '=>', bytes: linkedTo } };
  }
  if (!isSymlink(entry) || plain.target === undefined) return line;
  return { ...line, target: { arrow: '->', bytes: plain.target } };
}

/** The path of a folder as `-i` shows it. */
export function withSlash(path: Uint8Array): Uint8Array {
  return Buffer.concat([path, Buffer.from('/')]);
}

/** A message about an object of the copy, with the cipher path replaced by its plaintext path. */
export function plainMessage(
  message: string,
  { cipherPath, plainPath }: { readonly cipherPath: Uint8Array; readonly plainPath: Uint8Array },
): string {
  return message.replace(Buffer.from(cipherPath).toString(), () => showPath(plainPath));
}
