/** Opens master keys with a password or a key that is at hand, whoever gave it. */
import { timingSafeEqual } from 'node:crypto';
import { PasswordError, VaultError } from '../errors.ts';
import { isSealIntact } from '../gocryptfs/conf/conf-seal.ts';
import type { Conf } from '../gocryptfs/conf/config.ts';
import { unlockInAnyForm, unlockMasterkey } from '../gocryptfs/conf/keys.ts';
import type { Caller } from './caller.ts';

/** Waits for a key that a thread derives from a password, or no longer once the run is interrupted. */
export type Waiting = <T>(derivation: Promise<T>) => Promise<T>;

/**
 * The master key by a password, in whichever Unicode form; that it was another one is told.
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
 * A master key that was told, if it has sealed the conf. Which of the two is the wrong one cannot be
 * seen, and a slip of the pen is likelier than an attack.
 *
 * @param masterkey - overwritten when it is refused
 * @throws {PasswordError} `wrong-masterkey`
 */
export function assertSealedBy(masterkey: Buffer, conf: Conf | undefined): Buffer {
  if (conf === undefined || isSealIntact(conf, masterkey)) return masterkey;
  masterkey.fill(0);
  throw new PasswordError('wrong-masterkey', 'this master key has not sealed this gocryptfs.conf', {
    hint: 'Compare it with the recovery sheet. If it is right, the conf was changed: restore with the layout from the sheet, --layout and the like, which goes without the conf.',
  });
}

/** The key of a copy, opened by a secret that may open another conf, too. */
export interface OpenedConf {
  readonly masterkey: Buffer;
  /** It was told; no password has shown that it belongs to the conf. */
  readonly isUnproven: boolean;
  /** The other conf wraps the same key, under the same password. */
  readonly isKeyOfOther: boolean;
}

/** What opens a key: text of a password as bytes, or a key of 32 bytes. */
interface GivenSecret {
  readonly kind: 'password' | 'masterkey';
  readonly bytes: Buffer;
}

/**
 * Opens the master key of a copy, and tries the same password on another conf.
 *
 * @param secret - a password is overwritten, a master key is what is returned
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

/** Another password, or a token: then it is another's conf as far as can be told. */
function unlessWrong(error: unknown): undefined {
  if (error instanceof PasswordError || error instanceof VaultError) return undefined;
  throw error;
}
