/** Extended attributes: names of every namespace become `user.gocryptfs.…`, values are sealed. */
import { FileError, IntegrityError, type IntegrityCode } from '../../errors.ts';
import type { ContentCipher } from '../cipher/aead.ts';
import type { TextCodec } from '../format/base64url.ts';
import type { Eme } from './eme.ts';
import { isAllZero } from '../format/file-header.ts';
import { XATTR_NAME_LENGTH_MAX, XATTR_VALUE_LENGTH_MAX } from '../format/limits.ts';
import { padName, unpadName } from './names.ts';
import type { NonceSource } from '../content/nonces.ts';

/** Prefix of the name of every encrypted attribute. */
const XATTR_PREFIX = 'user.gocryptfs.';

/** Access control lists: the kernel must be able to read them, so they are not encrypted. */
const PASSED_THROUGH = ['system.posix_acl_access', 'system.posix_acl_default'];

/** The tweak of every attribute's name, whatever its object. */
const NAME_TWEAK = Buffer.from('xattr_name_iv_xx', 'latin1');
/** BE64 of block number 0 without a file ID. */
const VALUE_ASSOCIATED = Buffer.alloc(8);

const AES_BLOCK = 16;

/** Whether an attribute of this name is stored unencrypted. */
export function isPassedThroughXattr(name: Uint8Array): boolean {
  const shown = Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
  return PASSED_THROUGH.includes(shown);
}

/** One attribute before encryption. */
export interface PlainXattr {
  /** With its namespace: `user.comment`. */
  readonly name: Uint8Array;
  readonly value: Uint8Array;
  /**
   * Identifies the attribute's object: the 16 bytes of a file ID, a directory's IV or a link ID; in
   * layout `reverse` the cipher path.
   */
  readonly object: Uint8Array;
}

/** The parts that encrypt extended attributes. */
export interface XattrParts {
  readonly eme: Eme;
  readonly cipher: ContentCipher;
  readonly nonces: NonceSource;
  /** With padding if names are plaintext, because `Raw64` is not set then. */
  readonly text: TextCodec;
}

/**
 * The extended attributes of one filesystem. Names are encrypted even where file names are not.
 *
 * @see gocryptfs internal/fusefrontend/node_xattr.go and root_node.go (v2.6.1)
 */
export class XattrEncryption {
  readonly #parts: XattrParts;

  constructor(parts: XattrParts) {
    this.#parts = parts;
  }

  /**
   * @param name - with its namespace, 1 … 175 bytes
   * @returns inverse: {@link decryptXattrName}
   * @throws {FileError} `xattr-name-unsupported` — empty, over 175 bytes, or with NUL
   */
  encryptXattrName(name: Uint8Array): Uint8Array {
    if (isPassedThroughXattr(name)) return name;
    if (!isXattrName(name)) {
      const what = `an extended attribute's name of ${name.length} bytes cannot be encrypted`;
      throw new FileError('xattr-name-unsupported', what, {
        hint: 'Rename the attribute: at most 175 bytes with its namespace, and no NUL.',
      });
    }
    const { eme, text } = this.#parts;
    const encrypted = text.encode(eme.encrypt(NAME_TWEAK, padName(name)));
    return Buffer.concat([Buffer.from(XATTR_PREFIX), encrypted]);
  }

  /**
   * Inverse of {@link encryptXattrName}.
   *
   * @returns undefined for an attribute that does not belong to the filesystem: stock hides it
   * @throws {IntegrityError} `xattr-name-invalid` — it has the prefix, but no key wrote the rest
   */
  decryptXattrName(cipherName: Uint8Array): Uint8Array | undefined {
    if (isPassedThroughXattr(cipherName)) return cipherName;
    const prefix = Buffer.from(cipherName.subarray(0, XATTR_PREFIX.length)).toString('latin1');
    if (prefix !== XATTR_PREFIX) return undefined;
    const { eme, text } = this.#parts;
    const encrypted = text.decode(cipherName.subarray(XATTR_PREFIX.length));
    const length = encrypted?.length ?? 0;
    const isWhole = length > 0 && length <= XATTR_NAME_LENGTH_MAX + 1 && length % AES_BLOCK === 0;
    const padded = isWhole && encrypted !== undefined ? eme.decrypt(NAME_TWEAK, encrypted) : [];
    const name = unpadName(Uint8Array.from(padded));
    if (name !== undefined && isXattrName(name) && !isPassedThroughXattr(name)) return name;
    throw damaged('xattr-name-invalid', 'the name of an extended attribute cannot be decrypted');
  }

  /**
   * The stored value; an empty value stays empty.
   *
   * @returns inverse: {@link decryptXattrValue}
   * @throws {FileError} `xattr-value-too-long` — sealed it would have more than 65535 bytes
   */
  encryptXattrValue(xattr: PlainXattr): Uint8Array {
    const { name, value } = xattr;
    if (value.length === 0 || isPassedThroughXattr(name)) return value;
    const { cipher, nonces } = this.#parts;
    const length = value.length + cipher.overhead;
    if (length > XATTR_VALUE_LENGTH_MAX) {
      const what = `an extended attribute's value of ${value.length} bytes cannot be encrypted`;
      throw new FileError('xattr-value-too-long', what, {
        hint: 'Encrypted it would be longer than an attribute can be. Shorten or remove it.',
      });
    }
    const cipherName = this.encryptXattrName(name);
    const nonce = nonces.xattrNonce({ ...xattr, cipherName });
    const sealed = Buffer.allocUnsafe(length);
    cipher.seal({ plain: value, nonce, associated: VALUE_ASSOCIATED }, sealed);
    return sealed;
  }

  /**
   * Inverse of {@link encryptXattrValue}; also reads values in base64, as old releases wrote them.
   *
   * @param cipherName - the stored name
   * @throws {IntegrityError} `xattr-value-invalid` — the key did not write it
   */
  decryptXattrValue(cipherName: Uint8Array, sealed: Uint8Array): Uint8Array {
    if (sealed.length === 0 || isPassedThroughXattr(cipherName)) return sealed;
    const plain = this.#open(sealed) ?? this.#open(this.#parts.text.decode(sealed));
    if (plain !== undefined) return plain;
    throw damaged('xattr-value-invalid', 'the value of an extended attribute cannot be decrypted');
  }

  #open(sealed: Uint8Array | undefined): Buffer | undefined {
    const { cipher } = this.#parts;
    if (sealed === undefined || sealed.length < cipher.overhead) return undefined;
    if (isAllZero(sealed.subarray(0, cipher.nonceLength))) return undefined;
    try {
      return cipher.open(sealed, VALUE_ASSOCIATED);
    } catch (error) {
      if (error instanceof IntegrityError) return undefined;
      throw error;
    }
  }
}

function isXattrName(name: Uint8Array): boolean {
  return name.length > 0 && name.length <= XATTR_NAME_LENGTH_MAX && !name.includes(0);
}

function damaged(code: IntegrityCode, message: string): IntegrityError {
  return new IntegrityError(code, message, {
    hint: 'The copy is damaged or was changed. Push the file again from the source.',
  });
}
