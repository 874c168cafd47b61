/** Opens the key of a copy without a vault: by its own conf and a password, or by a master key. */
import path from 'node:path';
import { UsageError, VaultError } from '../errors.ts';
import { parseConf, type Conf } from '../gocryptfs/conf/config.ts';
import { CONF_NAME } from '../gocryptfs/names/names.ts';
import { confMissing, mirrorError } from '../sync/copy/copy-root.ts';
import { hasRootFile } from '../sync/copy/root-file-names.ts';
import type { Destination } from '../vault/destination/destination.ts';
import { confOfFolder } from './conf-of-folder.ts';
import type { CopyPlace } from './copy-place.ts';
import { admitConf, type Agree } from './foreign-conf.ts';
import {
  formOfLayout,
  givenLayout,
  type CopyForm,
  type FolderLayoutOptions,
} from './settings/layout-options.ts';

/** What opens a copy. */
export interface CopyKey {
  readonly conf: CopyForm;
  /** 32 bytes, or a promise of them. The user of the key overwrites it. */
  readonly masterkey: Buffer | Promise<Buffer>;
  /** The master key was given, and no conf has proved that it is right. */
  readonly isUnproven?: boolean;
}

/** Opens the key of a copy. A copy that was reached already brings its conf. */
export type UnlockPlace = (place: CopyPlace) => Promise<CopyKey>;

/** How the key of a copy without a vault is obtained. */
export interface CopySecret {
  readonly options: FolderLayoutOptions;
  /** A master key is given, and no password. */
  readonly byMasterkey: boolean;
  readonly agree: Agree;
  /** Reads the secret and opens the key with it. Without a conf it is a master key. */
  readonly open: (conf: Conf | undefined) => Promise<Buffer>;
}

/**
 * Opens the key of a copy with the password and the folder's own conf; or, with a master key, with
 * the layout of the options or of the folder's conf. A conf that no vault has pinned is used only
 * as far as its seal or the options confirm it.
 *
 * @param place - without a vault, unless the options give the layout
 * @throws {UsageError} `conflicting-options`, and every code of `admitConf`
 * @throws {VaultError} `conf-missing`, `conf-unusable`, and every code of `parseConf`, `admitConf`
 * @throws what `open` throws
 */
export async function unlockForeignCopy(
  { vault, destination, confBytes }: CopyPlace,
  { options, byMasterkey, agree, open }: CopySecret,
): Promise<CopyKey> {
  const isUnproven = byMasterkey;
  const told = givenLayout(options, { byMasterkey, isVault: vault !== undefined });
  if (told !== undefined && !byMasterkey) {
    throw new UsageError('conflicting-options', 'the layout is told but no master key', {
      hint: 'With a password the conf says the layout. Add --masterkey=stdin, or leave it out.',
    });
  }
  if (told !== undefined) return { conf: told, masterkey: await open(undefined), isUnproven };
  const bytes = confBytes ?? ownConf(destination, byMasterkey);
  const conf = bytes === undefined ? undefined : parseConf(bytes);
  if (conf !== undefined) {
    await admitConf(conf, { options, place: destination.shown, byMasterkey, agree });
  }
  return { conf: conf ?? formOfLayout(options), masterkey: await open(conf), isUnproven };
}

/**
 * The conf in a local folder.
 *
 * @returns undefined if a master key makes it unnecessary
 */
function ownConf(destination: Destination, byMasterkey: boolean): Uint8Array | undefined {
  const isLocal = destination.kind === 'local';
  const found = isLocal ? confOfFolder(destination.path) : 'absent';
  if (typeof found !== 'string') return found;
  if (byMasterkey) return undefined;
  if (isLocal && found === 'absent' && hasRootFile(destination.path, ['mirror'])) {
    throw mirrorError(destination.shown);
  }
  if (!isLocal || found === 'absent') throw confMissing(destination.shown, CONF_MISSING_HINT);
  const file = path.join(destination.path, CONF_NAME);
  throw new VaultError('conf-unusable', `${file} is not a file that gocryptfs made`, {
    hint: 'It is too large, or no plain file. Put the right one there, or give the master key: --masterkey=stdin',
  });
}

const CONF_MISSING_HINT =
  'Is it an encrypted folder, and its disk mounted? Without the conf only the master key opens it: --masterkey=stdin';
