/** Restores a whole copy into a folder, and makes that folder a vault that continues the copy. */
import { parseConf, type Conf } from '../../gocryptfs/conf/config.ts';
import { VaultError } from '../../errors.ts';
import { LocalStore } from '../../tree/target/local-store.ts';
import { restoreTime } from '../../tree/target/restore-time.ts';
import { removeUnfinished } from '../../tree/target/unfinished-files.ts';
import { acquireTargetLock } from '../../vault/lock/lock.ts';
import type { NewVaultPlace } from '../../vault/new-vault.ts';
import { ROOT_PATH } from '../../bytes/paths.ts';
import { confMissing } from '../copy/copy-root.ts';
import { adopt } from './adopt.ts';
import { restore, type RestoreSurroundings } from '../restore/restore.ts';
import type { RestoreSettings } from '../restore/restore-settings.ts';
import type { AdoptKey, AdoptSurroundings } from './adopt-settings.ts';
import type { AdoptSummary, CloneSummary } from './adopt-summary.ts';

/** What is cloned, and how. */
export interface CloneSettings {
  readonly restore: RestoreSettings;
  /** The target of the restore, as a future vault. */
  readonly place: NewVaultPlace;
  readonly vaultDir: string;
  /** The future name of the remote. */
  readonly name: string;
}

/** Callbacks and prompts of a clone. */
export interface CloneSurroundings extends RestoreSurroundings {
  /** Opens the key of the copy. Called once. */
  unlock(conf: Conf, confBytes: Uint8Array): Promise<AdoptKey>;
}

/**
 * Clones a copy. An interrupted clone continues when it is run again. Until it is finished, the
 * target holds the folder `.ecsync-restore`.
 *
 * @returns the figures of the restore; `exitCode` 23, 24 or 26 if something is missing
 * @throws {VaultError} `conf-missing`, `conf-changed`, and what {@link restore} and {@link adopt}
 *   throw
 */
export async function clone(
  settings: CloneSettings,
  surroundings: CloneSurroundings,
): Promise<CloneSummary> {
  const { target, from } = settings.restore;
  let opened: { readonly key: AdoptKey; readonly confBytes: Uint8Array } | undefined;
  const unlock = async (conf: Conf, confBytes: Uint8Array): Promise<AdoptKey> => {
    opened ??= { key: await surroundings.unlock(conf, confBytes), confBytes };
    // The conf is read twice. Both reads must agree, since the key was asked for only once.
    if (Buffer.compare(opened.confBytes, confBytes) !== 0) throw confChanged(from.shown);
    return opened.key;
  };
  const asked = { ...settings.restore, overwrite: 'changed', keepsWorkplace: true } as const;
  const summary = await restore(
    asked,
    async (confBytes) => {
      if (confBytes === undefined) throw confMissing(from.shown, CONF_MISSING_HINT);
      const conf = parseConf(confBytes);
      const { masterkey } = await unlock(conf, confBytes);
      return { conf, masterkey, isOnlyEcsync: false };
    },
    surroundings,
  );
  if (summary.exitCode !== 0) return summary;
  const store = new LocalStore(target);
  try {
    const root = await store.lookup(ROOT_PATH);
    const adopted = await continueCopy(settings, surroundings, unlock);
    await removeUnfinished(target, acquireTargetLock);
    // The vault directory was made and the workplace removed: set the root's time of the copy
    // again. The clone is complete without it, so a failure is only reported.
    const failure = root && (await restoreTime(store, root));
    if (failure !== undefined) {
      surroundings.reporter.warning({ code: failure.code, message: failure.message });
    }
    return { ...summary, ...(adopted.vaultDir !== undefined && { vaultDir: adopted.vaultDir }) };
  } finally {
    store.close();
  }
}

function continueCopy(
  { restore: how, place, vaultDir, name }: CloneSettings,
  { reporter, signal, questions = {} }: CloneSurroundings,
  unlock: AdoptSurroundings['unlock'],
): Promise<AdoptSummary> {
  const { from, timeoutSec, protocolMax, acceptNewHostKey, numericIds, rsh, rsyncPath } = how;
  return adopt(
    {
      place,
      vaultDir,
      destination: from,
      name,
      dryRun: false,
      repair: false,
      keepsMisplaced: how.allowMoved === true,
      numericIds,
      timeoutSec,
      protocolMax,
      acceptNewHostKey,
      ...(rsh !== undefined && { rsh }),
      ...(rsyncPath !== undefined && { rsyncPath }),
    },
    {
      reporter: {
        finding: () => undefined, // the restore has reported it already
        warning: (warning) => reporter.warning(warning),
        progress: () => undefined,
        surveyed: () => undefined,
      },
      signal,
      questions,
      unlock,
    },
  );
}

function confChanged(shown: string): VaultError {
  return new VaultError('conf-changed', `the gocryptfs.conf of ${shown} changed during the clone`, {
    hint: 'Was the password changed meanwhile? Clone into a new folder.',
  });
}

const CONF_MISSING_HINT =
  'Is it the right folder? Without the conf, `ecsync restore --from … --masterkey=stdin` still restores the files.';
