/** Options of a program for a push, a plan or a verification. */
import { UsageError } from '../../errors.ts';
import { tableWithout } from '../../options/option-table.ts';
import { SHARED_PUSH_OPTIONS } from '../../options/push-options.ts';
import type { VerifyFinding } from '../../sync/check/verify-summary.ts';
import type { ItemLine, PushProgress, PushSettings } from '../../sync/push/source/push-settings.ts';
import { diskFolder, isOnDisk } from '../../tree/local/disk-path.ts';
import { showPath } from '../../tree/file-failure.ts';
import { noRemote } from '../../vault/config/config-edit.ts';
import type { StoredVault } from '../../vault/vault.ts';
import { isRootPath } from '../../bytes/paths.ts';
import type { Caller } from '../caller.ts';
import { configuredFileLayers } from '../settings/configured-peer.ts';
import { pushTarget } from '../settings/push-target.ts';
import { settlePush } from '../settings/push-settings.ts';
import { patienceOf, type Patience } from '../retry.ts';
import { pathInCopy, type CopyPath } from './copy-paths.ts';
import { assertArgument, type OptionKinds } from './given-kinds.ts';
import { filterEntriesOf, kindsOf, readOptions, type GivenOptions } from './given-options.ts';
import { LISTENING_KINDS, type ListeningOptions } from './listening.ts';

/** The options of a push, except those that concern a terminal or have another form here. */
const TABLE = tableWithout(SHARED_PUSH_OPTIONS, [
  'itemize_changes',
  'progress',
  'stats',
  'password_file',
]);

/** Options of each push, plan and verification. */
export interface VaultRunOptions extends ListeningOptions, GivenOptions<typeof TABLE> {
  /** Only these files and folders of the vault. Default: everything. */
  readonly paths?: readonly CopyPath[];
  /** Receives every change, as `-i` shows it. */
  readonly onItem?: (line: ItemLine) => void;
  readonly onProgress?: (progress: PushProgress) => void;
}

/** Options of operations that change a copy and may have to wait for the lock. */
interface WaitingOptions {
  /**
   * How long to wait for another run on the vault: seconds, or true for no limit. Default: a push
   * waits for a push to another destination, and for nothing else.
   */
  readonly wait?: number | boolean;
}

/** Options of a push: those of `ecsync push` under their camel-cased names, and more. */
export interface VaultPushOptions extends VaultRunOptions, WaitingOptions {}

/** Options of a plan: those of the push that it describes. */
export interface VaultPlanOptions extends VaultRunOptions {
  /** Let the server compare blocks, to know the exact number of bytes. Default: false. */
  readonly exact?: boolean;
}

/** Options of a verification: use the same as for the push. */
export interface VaultVerifyOptions extends VaultRunOptions, WaitingOptions {
  /** Push the objects that are wrong, and compare them again. Default: false. */
  readonly repair?: boolean;
  /** Receives each difference; after a repair, again with whether it is repaired. */
  readonly onFinding?: (finding: VerifyFinding, repaired: boolean) => void;
}

/** The kinds of the options of a push. @internal */
export const PUSH_KINDS: OptionKinds = {
  ...kindsOf(TABLE),
  ...LISTENING_KINDS,
  paths: 'paths',
  onItem: 'listener',
  onProgress: 'listener',
  wait: 'wait',
};
/** Of a plan. @internal */
export const PLAN_KINDS: OptionKinds = { ...PUSH_KINDS, exact: 'flag' };
/** Of a verification. @internal */
export const VERIFY_KINDS: OptionKinds = { ...PUSH_KINDS, repair: 'flag', onFinding: 'listener' };

/**
 * The settings of a push, its vault, and its time limits.
 *
 * @internal
 */
export interface PushJobRead {
  readonly vault: StoredVault;
  readonly settings: PushSettings;
  readonly patience: Patience;
  readonly hasOwnRules: boolean;
}

/**
 * Combines the options of a program with those of the configuration files.
 *
 * @throws {UsageError} `no-remote`, `destination-invalid`, `option-invalid`, `path-outside`,
 *   `path-missing`, and every code of `settlePush` and `configuredFileLayers`
 *
 * @internal
 */
export async function pushJobOf(
  caller: Caller,
  vault: StoredVault,
  about: {
    readonly remote: string | undefined;
    readonly options: VaultPushOptions;
  },
): Promise<PushJobRead> {
  const { platform } = caller;
  const { remote, options } = about;
  if (remote !== undefined) assertArgument('remote', remote, 'text');
  const { values, given } = readOptions(TABLE, options);
  const { source, config } = vault;
  const context = { remotes: config.remotes, folder: process.cwd(), source, platform };
  const destination = pushTarget(remote, context);
  if (destination === undefined) throw noRemote(remote ?? '', config.remotes);
  const filters = filterEntriesOf(values);
  const place = { platform, environment: process.env };
  const settled = await settlePush({
    ...{ vault, destination, options: values, given, filters },
    layers: configuredFileLayers(place, { vault, destination }),
    pathsOf: (deletes) => Promise.resolve(pathsIn(source, options.paths ?? [], deletes)),
  });
  return {
    vault,
    settings: settled.settings,
    patience: patienceOf(settled.options),
    hasOwnRules: filters.length > 0,
  };
}

/**
 * @returns empty if everything is selected
 * @throws {UsageError} `path-outside`, `path-missing` — there is no such object, and the push does
 *   not delete
 */
function pathsIn(
  source: string,
  paths: readonly CopyPath[],
  deletes: boolean,
): readonly Uint8Array[] {
  const wanted = paths.map(pathInCopy);
  if (wanted.some(isRootPath)) return [];
  const folder = diskFolder(source);
  const missing = deletes ? undefined : wanted.find((path) => !isOnDisk(folder, path));
  if (missing === undefined) return wanted;
  throw new UsageError('path-missing', `${showPath(missing)} is not in ${source}`, {
    hint: 'Give paths from the top of the folder.',
    facts: { path: showPath(missing) },
  });
}
