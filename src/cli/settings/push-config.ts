/** What a push is told by configuration and environment, where the command line does not say. */
import { InvalidArgumentError } from 'commander';
import { UsageError } from '../../errors.ts';
import { PRESET_NAMES } from '../../tree/filter/filter-presets.ts';
import {
  isPushKey,
  PUSH_KEYS,
  type PushKey,
  type PushTable,
  type PushValue,
} from '../../vault/config/config-tables.ts';
import { nearestWord } from '../../vault/config/nearest.ts';
import { pathFrom } from '../../vault/password/password.ts';
import { readUserConfig, userConfigFile } from '../../vault/user/user-config.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import type { FilterWord, PushOptions } from './push-options.ts';
import type { Host } from '../frame/host.ts';
import { PUSH_PARSERS } from '../frame/push-values.ts';

/** One source of settings. */
export interface PushLayer {
  /** For messages: a variable's prefix, or a table of a file. */
  readonly shownFrom: string;
  /** Absolute folder that relative paths start from. */
  readonly folder: string;
  readonly values: PushTable;
}

/** Lists of rules: those of all layers count, one after the other. */
const RULE_KEYS = ['filter', 'include', 'exclude', 'exclude_from'] as const;
const RULE_KIND = {
  filter: 'filter',
  include: 'include',
  exclude: 'exclude',
  exclude_from: 'excludeFrom',
} as const satisfies Record<(typeof RULE_KEYS)[number], FilterWord['kind']>;

const YES = ['1', 'true', 'yes', 'on'];
const NO = ['0', 'false', 'no', 'off'];

/** `ECSYNC_MAX_DELETE` */
export function variableOf(key: PushKey): string {
  return `ECSYNC_${key.toUpperCase()}`;
}

/** The attribute under which commander has an option: `maxDelete`. */
export function optionOf(key: PushKey): string {
  return key.replace(/_([a-z])/g, (_whole, letter: string) => letter.toUpperCase());
}

/**
 * Everything that says something about a push to a remote, what counts most first: environment,
 * remote, vault, machine.
 *
 * @param remote - name; absent: a destination that has none
 * @throws {UsageError} `config-invalid` — a variable; every code of `readUserConfig`
 */
export function pushLayers(
  host: Pick<Host, 'environment' | 'platform' | 'folder'>,
  { config, vaultDir }: Pick<VaultFrame, 'config' | 'vaultDir'>,
  remote: string | undefined,
): readonly PushLayer[] {
  const file = vaultFiles(vaultDir).config;
  const userFile = userConfigFile(host.environment, host.platform);
  const ofRemote = config.remotes.find(({ name }) => name === remote)?.push;
  const ofMachine = readUserConfig(userFile).push;
  const userFolder = userFile.replace(/[/\\][^/\\]*$/, '');
  return [
    { shownFrom: 'environment', folder: host.folder, values: fromEnvironment(host.environment) },
    ...(ofRemote === undefined
      ? []
      : [{ shownFrom: `${file} [remotes.push]`, folder: vaultDir, values: ofRemote }]),
    { shownFrom: `${file} [push]`, folder: vaultDir, values: config.push ?? {} },
    { shownFrom: `${userFile} [push]`, folder: userFolder, values: ofMachine ?? {} },
  ];
}

function fromEnvironment(environment: NodeJS.ProcessEnv): PushTable {
  const values: Partial<Record<PushKey, PushValue>> = {};
  for (const [key, kind] of Object.entries(PUSH_KEYS)) {
    if (!isPushKey(key)) continue;
    const text = environment[variableOf(key)];
    if (text === undefined || text === '') continue;
    if (kind === 'texts') values[key] = text.split('\n').filter((line) => line !== '');
    else values[key] = kind === 'flag' ? parseFlag(variableOf(key), text) : text;
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

/** A setting that counts, and where it comes from. */
export interface EffectiveValue {
  readonly key: PushKey;
  /** As commander would give it. */
  readonly value: unknown;
  /** As it is written. */
  readonly shown: PushValue;
  readonly shownFrom: string;
}

/**
 * The settings of the layers that are no rules.
 *
 * @throws {UsageError} `config-invalid`
 */
export function effectiveValues(layers: readonly PushLayer[]): readonly EffectiveValue[] {
  const found: EffectiveValue[] = [];
  for (const key of Object.keys(PUSH_KEYS)) {
    if (!isPushKey(key) || RULE_KEYS.some((rule) => rule === key)) continue;
    const layer = layers.find(({ values }) => values[key] !== undefined);
    const shown = layer?.values[key];
    if (layer === undefined || shown === undefined) continue;
    const { shownFrom } = layer;
    found.push({ key, value: parseValue(key, shown, shownFrom), shown, shownFrom });
  }
  return found;
}

function parseValue(key: PushKey, value: PushValue, shownFrom: string): unknown {
  const parse = PUSH_PARSERS[key];
  if (parse === undefined) return value;
  try {
    return parse(String(value));
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new UsageError('config-invalid', `${shownFrom}: '${key}' is ${String(value)}`, {
      hint: error.message,
    });
  }
}

/** The rules of every layer, in the order in which they count. */
export function configuredRules(layers: readonly PushLayer[]): readonly (readonly FilterWord[])[] {
  return layers
    .map(({ values, folder }) =>
      RULE_KEYS.flatMap((key) =>
        textsOf(values[key]).map((text) => ({
          kind: RULE_KIND[key],
          text: key === 'exclude_from' ? pathFrom(folder, text) : text,
        })),
      ),
    )
    .filter((words) => words.length > 0);
}

/** A list, whether one or several were written. */
export function textsOf(value: PushValue | undefined): readonly string[] {
  if (value === undefined || typeof value === 'boolean' || typeof value === 'number') return [];
  return typeof value === 'string' ? [value] : value;
}

/**
 * The names of presets, from `os,dev-caches` or a list.
 *
 * @throws {UsageError} `preset-unknown`
 */
export function presetNames(value: string | readonly string[] | undefined): readonly string[] {
  const names = textsOf(value).flatMap((text) =>
    text.split(/[\s,]+/).filter((name) => name !== ''),
  );
  for (const name of names) {
    if (PRESET_NAMES.includes(name)) continue;
    const nearest = nearestWord(name, PRESET_NAMES);
    throw new UsageError('preset-unknown', `there is no preset '${name}'`, {
      hint:
        nearest === undefined
          ? `There are: ${PRESET_NAMES.join(', ')}.`
          : `Did you mean ${nearest}?`,
    });
  }
  return names;
}

/** Options of a push with what configuration adds to them. */
export interface ConfiguredOptions<Options> {
  readonly options: Options;
  /** Rules that come after those of the command line, each list by itself. */
  readonly configured: readonly (readonly FilterWord[])[];
}

/**
 * Options with which a push deletes nothing when it is only to add. Of two places that contradict each
 * other the one that counts more decides; but who asks for deletions on top of `append_only` is told.
 *
 * @param given - names of the options that the command line says
 * @throws {UsageError} `conflicting-options`
 */
export function onlyAdding<Options extends PushOptions>(
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
    given.has(optionOf(key)) ? -1 : layers.findIndex(({ values }) => values[key] !== undefined);
  if (deletes.every((key) => rank('append_only') < rank(key))) {
    return { ...options, delete: false, deleteExcluded: false };
  }
  throw new UsageError('conflicting-options', '--append-only and --delete exclude each other', {
    hint: 'Take one of them back: --no-delete or --no-append-only, or `delete = false` beside `append_only = true`.',
  });
}

/**
 * @param given - names of the options that the command line says
 * @throws {UsageError} as {@link pushLayers} and {@link effectiveValues}
 */
export function withConfiguration<Options extends PushOptions>(
  options: Options,
  given: ReadonlySet<string>,
  layers: readonly PushLayer[],
): ConfiguredOptions<Options> {
  const changes = effectiveValues(layers)
    .map(({ key, value }) => [optionOf(key), value] as const)
    .filter(([name]) => !given.has(name));
  return {
    options: { ...options, ...Object.fromEntries(changes) },
    configured: configuredRules(layers),
  };
}
