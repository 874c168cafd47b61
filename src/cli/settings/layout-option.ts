/** Options that choose the layout of a new copy. */
import { Option, type Command } from 'commander';
import { UsageError } from '../../errors.ts';
import type { LayoutChoice } from '../../gocryptfs/conf/feature-flags.ts';
import { LONG_NAME_MAX_DEFAULT, LONG_NAME_MAX_LEAST } from '../../gocryptfs/format/limits.ts';
import { typed } from '../frame/options.ts';
import { wholeNumber } from '../../options/option-values.ts';

const LAYOUTS: readonly LayoutChoice['layout'][] = ['gcm', 'reverse', 'xchacha'];

/** Adds the options of `LayoutOptions`. */
export function addLayoutOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--layout <name>',
        'gcm (default); xchacha for machines without AES instructions; reverse to go on with what `gocryptfs -reverse` shows',
      )
        .choices([...LAYOUTS])
        .argParser(parseLayout),
    )
    .option('--plaintextnames', 'do not encrypt names and link targets')
    .option('--deterministic-names', 'equal names look equal in every folder; no IV files')
    .option(
      '--longnamemax <n>',
      `hash encrypted names of more characters than N, from ${LONG_NAME_MAX_LEAST} to ${LONG_NAME_MAX_DEFAULT} (default: ${LONG_NAME_MAX_DEFAULT})`,
      typed(wholeNumber(LONG_NAME_MAX_LEAST, LONG_NAME_MAX_DEFAULT)),
    );
}

/**
 * The value of `--layout`.
 *
 * @throws {UsageError} `layout-unknown`
 */
function parseLayout(name: string): LayoutChoice['layout'] {
  const layout = LAYOUTS.find((known) => known === name);
  if (layout !== undefined) return layout;
  throw new UsageError('layout-unknown', `there is no layout '${name}'`, {
    hint: 'Use gcm, reverse or xchacha.',
  });
}
