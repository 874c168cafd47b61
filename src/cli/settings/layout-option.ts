/** Options that choose the layout of a new copy. */
import { Option, type Command } from 'commander';
import { LONG_NAME_MAX_DEFAULT, LONG_NAME_MAX_LEAST } from '../../gocryptfs/format/limits.ts';
import { LAYOUTS, parseLayout } from '../../library/settings/layout-options.ts';
import { typed } from '../frame/options.ts';
import { wholeNumber } from '../../options/option-values.ts';

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
