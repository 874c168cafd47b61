/** Finds the copy that a command reads, and opens its key. */
import { unlockForeignCopy, type CopyKey } from '../../library/copy-key.ts';
import { assertEncrypted, findCopyPlace, type CopyPlace } from '../../library/copy-place.ts';
import { givenLayout, type FolderLayoutOptions } from '../../library/settings/layout-options.ts';
import type { Host } from '../frame/host.ts';
import type { CommonOptions, SecretOptions } from '../frame/options.ts';
import { ofVaultIfAny, readVaultFrameOf } from '../frame/place.ts';
import { agreeing } from '../frame/prompt.ts';
import type { Warnings } from '../frame/report.ts';
import { startUnlocking, unlockConf } from '../secrets/secrets.ts';

/**
 * Resolves `[REMOTE|CIPHERDIR]`. Errors as `findCopyPlace`, and
 *
 * @throws {UsageError} `not-encrypted` — a plain mirror
 * @throws {VaultError} `no-vault`, and every other code of `readVaultFrame`
 */
export function findCopy(host: Host, options: CommonOptions, word: string | undefined): CopyPlace {
  const place = findPlace(host, options, word);
  assertEncrypted(place);
  return place;
}

/** As {@link findCopy}, but also accepts plain mirrors, which have no key. */
export function findPlace(host: Host, options: CommonOptions, word: string | undefined): CopyPlace {
  const read = () => readVaultFrameOf(host, options);
  const vault = word === undefined ? read() : ofVaultIfAny(host, options, read);
  return findCopyPlace(word, { vault, folder: host.folder, platform: host.platform });
}

/**
 * Opens the key of a copy: that of the vault, or that of the folder's own conf with its password.
 * With `--masterkey`, the layout comes from the options or from the folder's conf.
 *
 * @throws as `unlockForeignCopy`, `startUnlocking` and `unlockConf`
 */
export function unlockCopy(
  host: Host,
  warnings: Warnings,
  place: CopyPlace,
  options: FolderLayoutOptions & SecretOptions,
): Promise<CopyKey> {
  const { vault } = place;
  const byMasterkey = options.masterkey !== undefined;
  const isTold = givenLayout(options, { byMasterkey, isVault: vault !== undefined }) !== undefined;
  if (vault !== undefined && !isTold) return startUnlocking(host, vault, options, warnings);
  return unlockForeignCopy(place, {
    options,
    byMasterkey,
    agree: agreeing(host),
    open: (conf) => unlockConf(host, conf, options, warnings),
  });
}
