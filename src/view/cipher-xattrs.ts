import { FileError } from '../errors.ts';
import type { XattrEncryption } from '../gocryptfs/xattrs.ts';
import type { Xattr } from '../tree/entry.ts';

/**
 * The extended attributes of one object as its encryption has them, in the order of their encrypted
 * names' bytes.
 *
 * @param object - what they are bound to, see `PlainXattr.object`
 * @param onProblem - told of each attribute that cannot be encrypted and is left out
 */
export function encryptXattrs(
  encryption: XattrEncryption,
  xattrs: readonly Xattr[],
  { object, onProblem }: { object: Uint8Array; onProblem: (error: FileError) => void },
): readonly Xattr[] {
  const encrypted: Xattr[] = [];
  for (const { name, value } of xattrs) {
    try {
      encrypted.push({
        name: encryption.encryptXattrName(name),
        value: encryption.encryptXattrValue({ name, value, object }),
      });
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      onProblem(error);
    }
  }
  return encrypted.sort((a, b) => Buffer.compare(a.name, b.name));
}
