/** The settings of a push, from its options and what configuration adds to them. */
import { limitsOf, settingsOf } from '../../options/option-table.ts';
import { PUSH_OPTIONS } from '../../options/push-options.ts';
import type { PushSettings } from '../../sync/push/source/push-settings.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import type { StoredVault } from '../../vault/vault.ts';
import type { FilterWord } from './filter-words.ts';
import { onlyAdding, withConfiguration, type PushLayer, type PushValues } from './push-config.ts';
import { pushRules } from './push-rules.ts';

/** What a push is asked to do, and by whom. */
export interface PushAsked<Options extends PushValues> {
  readonly vault: Pick<StoredVault, 'source' | 'vaultDir'>;
  readonly destination: Destination;
  readonly options: Options;
  /** Names of the options that were said with the push itself. */
  readonly given: ReadonlySet<string>;
  /** Rules that were said with the push itself. */
  readonly filters: readonly FilterWord[];
  /** What configuration says, what counts most first. */
  readonly layers: readonly PushLayer[];
  /** Paths that the push is limited to; of one where nothing is, only a push that deletes knows. */
  readonly pathsOf: (deletes: boolean) => Promise<PushSettings['paths']>;
}

/** What a push is to do, and its options with what configuration adds to them. */
export interface SettledPush<Options> {
  readonly settings: PushSettings;
  readonly options: Options;
}

/**
 * Settles what a push is to do.
 *
 * @throws as `withConfiguration`, `onlyAdding`, `pushRules` and `pathsOf`
 */
export async function settlePush<Options extends PushValues>(
  asked: PushAsked<Options>,
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
