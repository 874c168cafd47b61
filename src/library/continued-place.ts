/** Finds the place of a vault that will continue a copy. */
import path from 'node:path';
import { UsageError } from '../errors.ts';
import { REVERSE_CONF_NAME } from '../gocryptfs/names/names.ts';
import type { AdoptSettings } from '../sync/adopt/adopt-settings.ts';
import { hasUnfinished, removeUnfinished } from '../tree/target/unfinished-files.ts';
import { assertRemoteName } from '../vault/config/config.ts';
import { parseAddress } from '../vault/destination/destination.ts';
import { isEmptyFolder, pathKind } from '../vault/files/path-kind.ts';
import { acquireTargetLock } from '../vault/lock/lock.ts';
import { checkNewVault } from '../vault/new-vault.ts';
import { VAULT_DIR_NAME } from '../vault/vault.ts';
import type { Caller } from './caller.ts';

/** A copy, and the folder that will continue it. */
export interface ContinuedTarget {
  /** Address of the copy. */
  readonly remote: string;
  /** The future name of the remote. */
  readonly name: string;
  /** Absolute path of the folder. */
  readonly source: string;
  /** Absolute path of a vault directory outside of it. */
  readonly vaultDir?: string | undefined;
  /** Absolute folder that a relative address starts from. */
  readonly folder: string;
}

type ContinuedPlace = Pick<AdoptSettings, 'place' | 'vaultDir' | 'name' | 'destination'>;

/**
 * The place of a folder with plaintext that will continue a copy. An empty folder is refused, since
 * one push with `--delete` would empty the copy.
 *
 * @throws {UsageError} `not-a-folder`, `source-empty`, `remote-name-invalid`,
 *   `destination-invalid`, `destination-password`, and every code of `checkNewVault`
 */
export function placeToAdopt(
  words: ContinuedTarget,
  { platform }: Pick<Caller, 'platform'>,
): ContinuedPlace {
  const { source } = words;
  return continuedPlace(words, platform, () => {
    if (pathKind(source) !== 'folder') {
      throw new UsageError('not-a-folder', `${source} is not a folder`, {
        hint: 'Name the folder that holds the plaintext of the copy.',
      });
    }
    if (!isEmptyFolder(source, REVERSE_CONF_NAME)) return;
    throw new UsageError('source-empty', `${source} is empty: there is nothing to continue with`, {
      hint: 'Is its disk mounted? To bring the files of the copy back, and go on from there: `ecsync clone`.',
    });
  });
}

/**
 * The place of a clone: a folder that is new, empty, or left by an interrupted clone.
 *
 * @throws {UsageError} `target-not-empty`, `remote-name-invalid`, `destination-invalid`,
 *   `destination-password`, and every code of `checkNewVault`
 */
export function placeToClone(
  words: ContinuedTarget,
  { platform }: Pick<Caller, 'platform'>,
): ContinuedPlace {
  const { source } = words;
  return continuedPlace(words, platform, () => {
    if (pathKind(source) === 'absent' || hasUnfinished(source) || isEmptyFolder(source)) return;
    throw new UsageError('target-not-empty', `${source} is not empty`, {
      hint: 'Clone into a new folder. To go on with files that are here already: ecsync adopt REMOTE DIR',
    });
  });
}

/**
 * Finishes a clone of which only the cleanup is missing.
 *
 * @param target - absolute path
 * @returns its vault directory; undefined if there is nothing to finish
 * @throws {LockedError} `locked` — another clone writes to the folder
 */
export async function finishClone(target: string): Promise<string | undefined> {
  const vaultDir = path.join(target, VAULT_DIR_NAME);
  if (pathKind(vaultDir) !== 'folder' || !hasUnfinished(target)) return undefined;
  await removeUnfinished(target, acquireTargetLock);
  return vaultDir;
}

function continuedPlace(
  { remote, name, source, vaultDir, folder }: ContinuedTarget,
  platform: NodeJS.Platform,
  assertSource: () => void,
): ContinuedPlace {
  const place = { source, ...(vaultDir !== undefined && { vaultDir }) };
  const checked = checkNewVault(place);
  assertSource();
  assertRemoteName(name);
  const destination = parseAddress(remote, { platform, folder });
  return { place, vaultDir: checked, name, destination };
}
