/** Derives the settings of a push from its options and the configuration. */
import { limitsOf, settingsOf } from '../../options/option-table.ts';
import { PUSH_OPTIONS } from '../../options/push-options.ts';
import type { PushSettings } from '../../sync/push/source/push-settings.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import type { StoredVault } from '../../vault/vault.ts';
import type { FilterEntry } from './filter-entries.ts';
import { onlyAdding, withConfiguration, type PushLayer, type PushValues } from './push-config.ts';
import { pushRules } from './push-rules.ts';

/** The options of a push, and where they come from. */
export interface UnsettledPush<Options extends PushValues> {
  readonly vault: Pick<StoredVault, 'source' | 'vaultDir'>;
  readonly destination: Destination;
  readonly options: Options;
  /** Names of the options that were given with the push itself. */
  readonly given: ReadonlySet<string>;
  /** Filter rules that were given with the push itself. */
  readonly filters: readonly FilterEntry[];
  /** Sources of the configuration, by descending precedence. */
  readonly layers: readonly PushLayer[];
  /**
   * Resolves the paths that the push is limited to. A path that does not exist is valid only if the
   * push deletes.
   */
  readonly pathsOf: (deletes: boolean) => Promise<PushSettings['paths']>;
}

/** The settings of a push, and its options completed by the configuration. */
export interface SettledPush<Options> {
  readonly settings: PushSettings;
  readonly options: Options;
}

/**
 * Derives the settings of a push.
 *
 * @throws as `withConfiguration`, `onlyAdding`, `pushRules` and `pathsOf`
 */
export async function settlePush<Options extends PushValues>(
  asked: UnsettledPush<Options>,
): Promise<SettledPush<Options>> {
  const { vault, destination, given, filters, layers, pathsOf } = asked;
  const { source, vaultDir } = vault;
  const { configured, options: all } = withConfiguration(asked.options, given, layers);
  const options = onlyAdding(all, given, layers);
  const limits = limitsOf(PUSH_OPTIONS, options);
  const deletes = options.delete === true || options.deleteExcluded === true;
  const settings = {
    ...settingsOf(PUSH_OPTIONS, options),
    ...{ source, vaultDir, destination },
    paths: await pathsOf(deletes),
    rules: await pushRules([filters, ...configured], options),
    ...(limits === undefined ? {} : { limits }),
    delete: deletes,
  };
  return { settings, options };
}
