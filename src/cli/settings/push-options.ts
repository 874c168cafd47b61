/** The options of `push`, as commander defines and returns them. */
import type { Command } from 'commander';
import {
  FILTER_KINDS,
  isFilterKey,
  type FilterEntry,
} from '../../library/settings/filter-entries.ts';
import { type OptionsOf } from '../../options/option-table.ts';
import {
  CONDITION_OPTIONS,
  FILTER_OPTIONS,
  SHARED_PUSH_OPTIONS,
} from '../../options/push-options.ts';
import {
  addCommonOptions,
  addFutureOptions,
  addSecretOptions,
  addTableOptions,
  type CommonOptions,
  type OnValue,
  type SecretOptions,
} from '../frame/options.ts';
import { ESCAPED_HELP } from '../frame/escaped-paths.ts';
import { addWaitOption, type WaitOptions } from '../frame/vault-lock.ts';

/** The options of `push`, `plan` and `verify`, as commander parses them. */
export interface PushOptions
  extends CommonOptions, SecretOptions, OptionsOf<typeof SHARED_PUSH_OPTIONS> {
  readonly escaped?: boolean;
}

/** Options of `push` alone. */
export interface PushCommandOptions
  extends PushOptions, WaitOptions, OptionsOf<typeof CONDITION_OPTIONS> {
  readonly all?: boolean;
}

/** Options for the conditions under which a push starts, and its behaviour then. */
export function addConditionOptions(command: Command): void {
  addTableOptions(addWaitOption(command), CONDITION_OPTIONS);
}

const AFTER_HELP = `
REMOTE is the name of a configured remote, or a destination: it contains a colon (user@host:path)
or starts with /, ./, ../ or a drive. Without REMOTE the first configured remote is used. PATHs
are relative to the current folder and lie inside the vault; without PATH everything is pushed.
Filter rules are rsync's: the first one that matches decides, in the order given.

What is not said here is taken from ECSYNC_DELETE, ECSYNC_EXCLUDE and so on, then from [push] in
.ecsync/config.toml and ~/.config/ecsync/config.toml: see \`ecsync config show\`. Rules from there come
after those given here. A flag is taken back with --no-, such as --no-delete.`;

/**
 * Adds the options of a push to the command.
 *
 * @returns the filter options as they are parsed, which keeps the order between them
 */
export function addPushOptions(command: Command): readonly FilterEntry[] {
  const { filters, onValue } = filterCollector();
  command.option('--escaped', ESCAPED_HELP);
  addTableOptions(command, SHARED_PUSH_OPTIONS, onValue);
  addSecretOptions(command, { masterkey: true });
  addCommonOptions(command);
  addFutureOptions(command, ['--snapshot [name]']);
  command.addHelpText('after', AFTER_HELP);
  return filters;
}

/** Adds the filter options alone. Otherwise as {@link addPushOptions}. */
export function addFilterOptions(command: Command): readonly FilterEntry[] {
  const { filters, onValue } = filterCollector();
  addTableOptions(command, FILTER_OPTIONS, onValue);
  return filters;
}

function filterCollector(): {
  readonly filters: readonly FilterEntry[];
  readonly onValue: OnValue;
} {
  const filters: FilterEntry[] = [];
  return {
    filters,
    onValue: (key, text) => {
      if (isFilterKey(key)) filters.push({ kind: FILTER_KINDS[key], text });
    },
  };
}

/** Hides options from a command's help that have no effect there. */
export function hideOptions(command: Command, names: readonly string[]): void {
  for (const option of command.options) {
    if (option.long != null && names.includes(option.long)) option.hideHelp();
  }
}

/** Names of the options that were given on the command line. */
export function givenOptions(command: Command): ReadonlySet<string> {
  const names = command.options.map((option) => option.attributeName());
  return new Set(names.filter((name) => command.getOptionValueSource(name) === 'cli'));
}
