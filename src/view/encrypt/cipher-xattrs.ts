/** Encrypts extended attributes. */
import { FileError } from '../../errors.ts';
import type { XattrEncryption } from '../../gocryptfs/names/xattrs.ts';
import type { Xattr } from '../../tree/entry.ts';

/** Encrypted names that are kept: most trees have the same few everywhere. */
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
   * @param object - what they are bound to, see `PlainXattr.object`
   * @param onProblem - told of each attribute that cannot be encrypted and is left out
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

  /** An attribute's name depends on nothing but the key, so that one buffer serves all objects. */
  #name(name: Uint8Array): Uint8Array {
    const key = Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const encrypted = this.#encryption.encryptXattrName(name);
    if (this.#names.size < NAMES_MAX) this.#names.set(key, encrypted);
    return encrypted;
  }
}
