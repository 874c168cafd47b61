/** Opens master keys with a given password or key. */
import { timingSafeEqual } from 'node:crypto';
import { PasswordError, VaultError } from '../errors.ts';
import { isSealIntact } from '../gocryptfs/conf/conf-seal.ts';
import type { Conf } from '../gocryptfs/conf/config.ts';
import { unlockInAnyForm, unlockMasterkey } from '../gocryptfs/conf/keys.ts';
import type { Caller } from './caller.ts';

/** Waits for a key that a thread derives from a password, unless the run is interrupted. */
export type Waiting = <T>(derivation: Promise<T>) => Promise<T>;

/**
 * Opens the master key with a password in any Unicode form, and warns if it was another form.
 *
 * @throws as `unlockInAnyForm`; what `waiting` throws
 */
export async function masterkeyByPassword(
  { warn }: Pick<Caller, 'warn'>,
  waiting: Waiting,
  conf: Conf,
  password: Uint8Array,
): Promise<Buffer> {
  const { masterkey, form } = await waiting(unlockInAnyForm(conf, password));
  if (form !== undefined) {
    const how = form === 'NFC' ? 'composed (NFC)' : 'decomposed (NFD), as macOS types it';
    const message = `the password is right when its letters are ${how}: it was given in the other form`;
    warn('password-form', message);
  }
  return masterkey;
}

/**
 * Returns a given master key if it has sealed the conf. If not, either may be wrong, and a typing
 * error is more likely than an attack.
 *
 * @param masterkey - overwritten if it is refused
 * @throws {PasswordError} `wrong-masterkey`
 */
export function assertSealedBy(masterkey: Buffer, conf: Conf | undefined): Buffer {
  if (conf === undefined || isSealIntact(conf, masterkey)) return masterkey;
  masterkey.fill(0);
  throw new PasswordError('wrong-masterkey', 'this master key has not sealed this gocryptfs.conf', {
    hint: 'Compare it with the recovery sheet. If it is right, the conf was changed: restore with the layout from the sheet, --layout and the like, which goes without the conf.',
  });
}

/** The key of a copy, opened by a secret that may also open another conf. */
export interface OpenedConf {
  readonly masterkey: Buffer;
  /** The key was given, and no password has proved that it belongs to the conf. */
  readonly isUnproven: boolean;
  /** The other conf wraps the same key, under the same password. */
  readonly isKeyOfOther: boolean;
}

/** A secret that opens a key: the bytes of a password, or a key of 32 bytes. */
interface GivenSecret {
  readonly kind: 'password' | 'masterkey';
  readonly bytes: Buffer;
}

/**
 * Opens the master key of a copy, and tries the same password on another conf.
 *
 * @param secret - a password is overwritten; a master key is returned itself
 * @throws as `unlockMasterkey` and {@link assertSealedBy}; what `waiting` throws
 */
export async function openConfAndOther(
  waiting: Waiting,
  secret: GivenSecret,
  conf: Conf,
  other: Conf | undefined,
): Promise<OpenedConf> {
  if (secret.kind === 'masterkey') {
    const masterkey = assertSealedBy(secret.bytes, conf);
    return { masterkey, isUnproven: true, isKeyOfOther: false };
  }
  try {
    const masterkey = await waiting(unlockMasterkey(conf, secret.bytes));
    const trying = other && unlockMasterkey(other, secret.bytes).catch(unlessWrong);
    const alike = trying && (await waiting(trying));
    const isKeyOfOther = alike !== undefined && timingSafeEqual(alike, masterkey);
    alike?.fill(0);
    return { masterkey, isUnproven: false, isKeyOfOther };
  } finally {
    secret.bytes.fill(0);
  }
}

/** A wrong password, or a token, means that the conf may belong to another filesystem. */
function unlessWrong(error: unknown): undefined {
  if (error instanceof PasswordError || error instanceof VaultError) return undefined;
  throw error;
}
