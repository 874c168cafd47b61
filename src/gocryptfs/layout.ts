/** A filesystem that is open: everything that encrypts it, put together from conf and master key. */
import { BugError, VaultError } from '../errors.ts';
import { GcmCipher } from './aead.ts';
import type { Conf } from './config.ts';
import { ContentEncryption } from './content.ts';
import { Eme } from './eme.ts';
import { GCM_LAYOUT_FLAGS } from './feature-flags.ts';
import { Identities } from './identity.ts';
import { deriveSubKey, KeyInfo } from './keys.ts';
import { MASTERKEY_LENGTH } from './limits.ts';
import { NameCipher } from './names.ts';

/** The three parts of a layout. */
export interface Layout {
  readonly names: NameCipher;
  readonly content: ContentEncryption;
  readonly identities: Identities;
}

/**
 * Whether a conf describes layout `gcm`: its six flags, and nothing else but the token that
 * unlocks it and another limit for names.
 */
export function isGcmLayout({ flags }: Pick<Conf, 'flags'>): boolean {
  const rest = new Set(flags);
  rest.delete('FIDO2');
  rest.delete('LongNameMax');
  return rest.size === GCM_LAYOUT_FLAGS.length && GCM_LAYOUT_FLAGS.every((flag) => rest.has(flag));
}

/**
 * Opens a filesystem for encryption and decryption.
 *
 * @param masterkey - 32 bytes; not kept
 * @throws {VaultError} `layout-unsupported` — valid for gocryptfs, but not a layout ecsync writes
 * @throws {BugError} `invariant` — a master key of another length
 */
export function openLayout(
  conf: Pick<Conf, 'flags' | 'longNameMax'>,
  masterkey: Uint8Array,
): Layout {
  if (!isGcmLayout(conf)) {
    const flags = [...conf.flags].join(' ');
    throw new VaultError(
      'layout-unsupported',
      `gocryptfs.conf: cannot write a copy with ${flags}`,
      {
        hint: `Supported are the flags of a plain "gocryptfs -init": ${GCM_LAYOUT_FLAGS.join(' ')}.`,
      },
    );
  }
  if (masterkey.length !== MASTERKEY_LENGTH) {
    throw new BugError('invariant', `master key of ${masterkey.length} bytes`);
  }
  const contentCipher = new GcmCipher(deriveSubKey(masterkey, KeyInfo.gcmContent));
  const eme = new Eme(deriveSubKey(masterkey, KeyInfo.names));
  return {
    names: new NameCipher(eme, conf.longNameMax),
    content: new ContentEncryption(contentCipher, deriveSubKey(masterkey, KeyInfo.ecsyncNonces)),
    identities: new Identities(deriveSubKey(masterkey, KeyInfo.ecsyncIdentities)),
  };
}
