/** Opens the key of a copy that is no vault's: by its own conf and a password, or by a master key. */
import path from 'node:path';
import { UsageError, VaultError } from '../errors.ts';
import { parseConf, type Conf } from '../gocryptfs/conf/config.ts';
import { CONF_NAME } from '../gocryptfs/names/names.ts';
import { confMissing, mirrorError } from '../sync/copy/copy-root.ts';
import { isFileIn } from '../tree/local/glance.ts';
import type { Destination } from '../vault/destination/destination.ts';
import { MIRROR_MARKER_NAME } from '../view/mirror/mirror-view.ts';
import { confOfFolder } from './conf-of-folder.ts';
import type { CopyPlace } from './copy-place.ts';
import { admitConf, type Agree } from './foreign-conf.ts';
import {
  formOfLayout,
  layoutTold,
  type CopyForm,
  type FolderLayoutOptions,
} from './settings/layout-options.ts';

/** What opens a copy. */
export interface CopyKey {
  readonly conf: CopyForm;
  /** 32 bytes; may still be on its way. Whoever uses it overwrites it. */
  readonly masterkey: Buffer | Promise<Buffer>;
  /** The master key was told, and no conf has shown that it is the right one. */
  readonly isUnproven?: boolean;
}

/** Opens the key of a copy, whosever it is; a copy that was reached brings its conf along. */
export type UnlockPlace = (place: CopyPlace) => Promise<CopyKey>;

/** How the key of a copy that is no vault's is come by. */
export interface CopySecret {
  readonly options: FolderLayoutOptions;
  /** A master key is given, and no password. */
  readonly byMasterkey: boolean;
  readonly agree: Agree;
  /** Reads the secret and opens the key with it; without a conf it is a master key. */
  readonly open: (conf: Conf | undefined) => Promise<Buffer>;
}

/**
 * Opens the key of a copy with the password and the conf of the folder itself; or, by a master key, with
 * the layout that the options or else the folder's conf tell. A conf that no vault has pinned is obeyed
 * as far as its seal or the options vouch for it.
 *
 * @param place - of no vault, or the layout is told
 * @throws {UsageError} `conflicting-options`, and every one of `admitConf`
 * @throws {VaultError} `conf-missing`, `conf-unusable`, and every code of `parseConf`, `admitConf`
 * @throws what `open` throws
 */
export async function unlockForeignCopy(
  { vault, destination, confBytes }: CopyPlace,
  { options, byMasterkey, agree, open }: CopySecret,
): Promise<CopyKey> {
  const isUnproven = byMasterkey;
  const told = layoutTold(options, { byMasterkey, isVault: vault !== undefined });
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
 * @returns undefined where a master key does without
 */
function ownConf(destination: Destination, byMasterkey: boolean): Uint8Array | undefined {
  const isLocal = destination.kind === 'local';
  const found = isLocal ? confOfFolder(destination.path) : 'absent';
  if (typeof found !== 'string') return found;
  if (byMasterkey) return undefined;
  if (isLocal && found === 'absent' && isFileIn(destination.path, MARKER)) {
    throw mirrorError(destination.shown);
  }
  if (!isLocal || found === 'absent') throw confMissing(destination.shown, CONF_MISSING_HINT);
  const file = path.join(destination.path, CONF_NAME);
  throw new VaultError('conf-unusable', `${file} is not a file that gocryptfs made`, {
    hint: 'It is too large, or no plain file. Put the right one there, or give the master key: --masterkey=stdin',
  });
}

const MARKER = Buffer.from(MIRROR_MARKER_NAME);
const CONF_MISSING_HINT =
  'Is it an encrypted folder, and its disk mounted? Without the conf only the master key opens it: --masterkey=stdin';
