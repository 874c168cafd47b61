/** Encrypts extended attributes. */
import { FileError } from '../../errors.ts';
import type { XattrEncryption } from '../../gocryptfs/names/xattrs.ts';
import type { Xattr } from '../../tree/entry.ts';

/** Limit of cached encrypted names: most trees have the same few names everywhere. */
const NAMES_MAX = 1000;

/** Encrypts the extended attributes of the objects of one filesystem. */
export class CipherXattrs {
  readonly #encryption: XattrEncryption;
  readonly #names = new Map<string, Uint8Array>();

  constructor(encryption: XattrEncryption) {
    this.#encryption = encryption;
  }

  /**
   * The attributes of one object, in the order of their encrypted names' bytes.
   *
   * @param object - the object they are bound to, see `PlainXattr.object`
   * @param onProblem - called for each attribute that cannot be encrypted and is left out
   */
  encrypt(
    xattrs: readonly Xattr[],
    { object, onProblem }: { object: Uint8Array; onProblem: (error: FileError) => void },
  ): readonly Xattr[] {
    const encrypted: Xattr[] = [];
    for (const { name, value } of xattrs) {
      try {
        encrypted.push({
          name: this.#name(name),
          value: this.#encryption.encryptXattrValue({ name, value, object }),
        });
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        onProblem(error);
      }
    }
    return encrypted.sort((a, b) => Buffer.compare(a.name, b.name));
  }

  /** Encrypts a name. It depends only on the key, so one buffer serves all objects. */
  #name(name: Uint8Array): Uint8Array {
    const key = Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
    const cached = this.#names.get(key);
    if (cached !== undefined) return cached;
    const encrypted = this.#encryption.encryptXattrName(name);
    if (this.#names.size < NAMES_MAX) this.#names.set(key, encrypted);
    return encrypted;
  }
}
