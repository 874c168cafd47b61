/** Settings of a push from configuration and environment, beside those of the command line. */
import { UsageError } from '../../errors.ts';
import { attributeName, type OptionsOf, type OptionSpec } from '../../options/option-table.ts';
import { OptionValueError, parseText } from '../../options/option-values.ts';
import {
  PUSH_KEYS,
  PUSH_OPTIONS,
  type PushKey,
  type SHARED_PUSH_OPTIONS,
} from '../../options/push-options.ts';
import type { PushTable, PushValue } from '../../vault/config/config-tables.ts';
import { pathFrom } from '../../vault/password/password.ts';
import { readUserConfig, userConfigFile } from '../../vault/user/user-config.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import { FILTER_KEYS, FILTER_KINDS, isFilterKey, type FilterEntry } from './filter-entries.ts';

/** The parsed options of a push. Options that were not given are absent. */
export type PushValues = Partial<OptionsOf<typeof SHARED_PUSH_OPTIONS>>;

/** The environment in which the configuration of a push is read. */
export interface ConfigurationPlace {
  readonly platform: NodeJS.Platform;
  readonly environment: NodeJS.ProcessEnv;
}

/** One source of settings. */
export interface PushLayer {
  /** For messages: a variable's prefix, or a table of a file. */
  readonly shownFrom: string;
  /** Absolute folder that relative paths start from. */
  readonly folder: string;
  readonly values: PushTable;
}

const YES = ['1', 'true', 'yes', 'on'];
const NO = ['0', 'false', 'no', 'off'];

/** `ECSYNC_MAX_DELETE` */
export function variableOf(key: PushKey): string {
  return `ECSYNC_${key.toUpperCase()}`;
}

/**
 * All sources of settings for a push to a remote, by descending precedence: environment, remote,
 * vault, machine.
 *
 * @param remote - name; absent: a destination without a name
 * @throws {UsageError} `config-invalid` — a variable; every code of `readUserConfig`
 */
export function pushLayers(
  place: ConfigurationPlace & { readonly folder: string },
  vault: Pick<VaultFrame, 'config' | 'vaultDir'>,
  remote: string | undefined,
): readonly PushLayer[] {
  const { environment, folder } = place;
  return [
    { shownFrom: 'environment', folder, values: fromEnvironment(environment) },
    ...fileLayers(place, vault, remote),
  ];
}

/**
 * The same from files alone.
 *
 * @throws {UsageError} every code of `readUserConfig`
 */
export function fileLayers(
  { environment, platform }: ConfigurationPlace,
  { config, vaultDir }: Pick<VaultFrame, 'config' | 'vaultDir'>,
  remote: string | undefined,
): readonly PushLayer[] {
  const file = vaultFiles(vaultDir).config;
  const userFile = userConfigFile(environment, platform);
  const ofRemote = config.remotes.find(({ name }) => name === remote)?.push;
  const ofMachine = readUserConfig(userFile).push;
  const userFolder = userFile.replace(/[/\\][^/\\]*$/, '');
  return [
    ...(ofRemote === undefined
      ? []
      : [{ shownFrom: `${file} [remotes.push]`, folder: vaultDir, values: ofRemote }]),
    { shownFrom: `${file} [push]`, folder: vaultDir, values: config.push ?? {} },
    { shownFrom: `${userFile} [push]`, folder: userFolder, values: ofMachine ?? {} },
  ];
}

function fromEnvironment(environment: NodeJS.ProcessEnv): PushTable {
  const values: Partial<Record<PushKey, PushValue>> = {};
  for (const key of PUSH_KEYS) {
    const { takes }: OptionSpec = PUSH_OPTIONS[key];
    const text = environment[variableOf(key)];
    if (text === undefined || text === '') continue;
    if (takes === 'texts') values[key] = text.split('\n').filter((line) => line !== '');
    else values[key] = takes === undefined ? parseFlag(variableOf(key), text) : text;
  }
  return values;
}

/** @throws {UsageError} `config-invalid` */
export function parseFlag(variable: string, text: string): boolean {
  if (YES.includes(text.toLowerCase())) return true;
  if (NO.includes(text.toLowerCase())) return false;
  throw new UsageError('config-invalid', `${variable}=${text}: it must be 1 or 0`, {
    hint: 'Also understood: true, yes, on, false, no, off.',
  });
}

/** The effective value of a setting, and its source. */
export interface EffectiveValue {
  readonly key: PushKey;
  /** As commander would parse it. */
  readonly value: unknown;
  /** As it is written. */
  readonly shown: PushValue;
  readonly shownFrom: string;
}

/**
 * The effective settings of all sources, except filter rules.
 *
 * @throws {UsageError} `config-invalid`
 */
export function effectiveValues(layers: readonly PushLayer[]): readonly EffectiveValue[] {
  const found: EffectiveValue[] = [];
  for (const key of PUSH_KEYS.filter((one) => !isFilterKey(one))) {
    const layer = layers.find(({ values }) => values[key] !== undefined);
    const shown = layer?.values[key];
    if (layer === undefined || shown === undefined) continue;
    const { shownFrom } = layer;
    found.push({ key, value: parseValue(key, shown, shownFrom), shown, shownFrom });
  }
  return found;
}

/** Parses a value as commander would. */
function parseValue(key: PushKey, value: PushValue, shownFrom: string): unknown {
  const { takes, parse = parseText }: OptionSpec = PUSH_OPTIONS[key];
  const read = (text: string): unknown => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof OptionValueError)) throw error;
      throw new UsageError('config-invalid', `${shownFrom}: '${key}' is ${text}`, {
        hint: error.message,
      });
    }
  };
  if (takes === undefined) return value;
  return takes === 'texts' ? textsOf(value).map(read) : read(String(value));
}

/** The filter rules of every source, by descending precedence. */
export function configuredRules(layers: readonly PushLayer[]): readonly (readonly FilterEntry[])[] {
  return layers
    .map(({ values, folder }) =>
      FILTER_KEYS.flatMap((key) =>
        textsOf(values[key]).map((text) => ({
          kind: FILTER_KINDS[key],
          text: key === 'exclude_from' ? pathFrom(folder, text) : text,
        })),
      ),
    )
    .filter((words) => words.length > 0);
}

/** A list, even if only one value was written. */
export function textsOf(value: PushValue | undefined): readonly string[] {
  if (value === undefined || typeof value === 'boolean' || typeof value === 'number') return [];
  return typeof value === 'string' ? [value] : value;
}

/** Options of a push, completed by the configuration. */
export interface ConfiguredOptions<Options> {
  readonly options: Options;
  /** Filter rules that come after those of the command line, one list per source. */
  readonly configured: readonly (readonly FilterEntry[])[];
}

/**
 * Disables deletions for an append-only push. If two sources contradict each other, the one with
 * the higher precedence decides. An explicit request for deletions with `append_only` is an error.
 *
 * @param given - names of the options of the command line
 * @throws {UsageError} `conflicting-options`
 */
export function onlyAdding<Options extends PushValues>(
  options: Options,
  given: ReadonlySet<string>,
  layers: readonly PushLayer[],
): Options {
  const deletes = (
    [
      ['delete', options.delete],
      ['delete_excluded', options.deleteExcluded],
    ] as const
  )
    .filter(([, isAsked]) => isAsked === true)
    .map(([key]) => key);
  if (options.appendOnly !== true || deletes.length === 0) return options;
  const rank = (key: PushKey): number =>
    given.has(attributeName(key))
      ? -1
      : layers.findIndex(({ values }) => values[key] !== undefined);
  if (deletes.every((key) => rank('append_only') < rank(key))) {
    return { ...options, delete: false, deleteExcluded: false };
  }
  throw new UsageError('conflicting-options', '--append-only and --delete exclude each other', {
    hint: 'Take one of them back: --no-delete or --no-append-only, or `delete = false` beside `append_only = true`.',
  });
}

/**
 * @param given - names of the options of the command line
 * @throws {UsageError} as {@link pushLayers} and {@link effectiveValues}
 */
export function withConfiguration<Options extends PushValues>(
  options: Options,
  given: ReadonlySet<string>,
  layers: readonly PushLayer[],
): ConfiguredOptions<Options> {
  const changes = effectiveValues(layers)
    .map(({ key, value }) => [attributeName(key), value] as const)
    .filter(([name]) => !given.has(name));
  return {
    options: { ...options, ...Object.fromEntries(changes) },
    configured: configuredRules(layers),
  };
}
