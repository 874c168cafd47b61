/** Options that many commands have, and the parsers of their values. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { isNegated, type OptionSpec, type OptionTable } from '../../options/option-table.ts';
import { OptionValueError, parseText } from '../../options/option-values.ts';

/** Options that every command has. */
export interface CommonOptions {
  readonly C?: string;
  readonly vaultDir?: string;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
  readonly logFile?: string;
}

/** Options of every command that opens the vault's key. */
export interface SecretOptions {
  readonly passfile?: string;
  readonly extpass?: string;
  readonly masterkey?: string;
  /** How to ask at a terminal. Not an option of the command line. */
  readonly ask?: () => Promise<Buffer>;
}

/** The options that locate the vault. */
function addPlaceOptions(command: Command): Command {
  return command
    .option('-C <dir>', 'work as if started in DIR')
    .option('--vault-dir <dir>', 'the vault directory, when it is not .ecsync/ in the folder');
}

/** Options of every command. They are also accepted before it, as in git. */
export function addCommonOptions(command: Command): Command {
  return addPlaceOptions(command)
    .option('-q, --quiet', 'say only what went wrong')
    .option('-v, --verbose', 'say more')
    .option('--json', 'one JSON object a line, the last one a summary')
    .option('--log-file <file>', 'append what is said to FILE, with the time, also with -q');
}

export function addSecretOptions(command: Command, choices: { masterkey: boolean }): Command {
  command
    .option('--passfile <file>', 'read the password from the first line of FILE', typed(parseText))
    .option(
      '--extpass <cmd>',
      'run CMD (no shell) and take the first line it prints',
      typed(parseText),
    );
  return choices.masterkey
    ? command.addOption(
        new Option('--masterkey <source>', 'with "stdin": read the master key instead').argParser(
          parseMasterkeySource,
        ),
      )
    : command;
}

function parseMasterkeySource(source: string): string {
  if (source === 'stdin') return source;
  // The value is not repeated, since it may be the key.
  throw new UsageError('masterkey-on-command-line', 'a master key is never given as an option', {
    hint: 'Use --masterkey=stdin and give the key on standard input.',
  });
}

/** Planned options that this release does not have: recognised, hidden, refused. */
export function addFutureOptions(command: Command, flags: readonly string[]): Command {
  for (const flag of flags) {
    const option = new Option(flag).hideHelp();
    command.addOption(option);
    command.on(`option:${option.name()}`, () => {
      throw new UsageError(
        'not-in-this-release',
        `${option.long ?? flag} is not in this release of ecsync`,
        { hint: `See \`ecsync help ${commandPath(command)}\` for what is.` },
      );
    });
  }
  return command;
}

/** `remote add` for the command of that name. */
function commandPath(command: Command): string {
  const above = command.parent;
  return above?.parent ? `${commandPath(above)} ${command.name()}` : command.name();
}

/** A parser for commander. Its errors name the option as it was typed. */
export function typed<Value>(parse: (text: string) => Value): (text: string) => Value {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof OptionValueError)) throw error;
      throw new InvalidArgumentError(error.message);
    }
  };
}

/** For an option that may be repeated. Otherwise as {@link typed}. */
export function typedOften<Value>(
  parse: (text: string) => Value,
): (text: string, before?: readonly Value[]) => readonly Value[] {
  const read = typed(parse);
  return (text, before = []) => [...before, read(text)];
}

/** Receives the values of options as they are parsed, which keeps the order between options. */
export type OnValue = (key: string, text: string) => void;

/**
 * Adds the options of a table to a command, with hidden ones that revert settings of the
 * configuration.
 */
export function addTableOptions(command: Command, table: OptionTable, onValue?: OnValue): Command {
  for (const [key, spec] of Object.entries(table)) {
    const option = new Option(spec.flags, spec.help);
    if (spec.default !== undefined) option.default(spec.default);
    if (spec.takes !== undefined) option.argParser(readerOf(key, spec, onValue));
    command.addOption(option);
    if (spec.takes !== undefined || spec.commandLineOnly === true) continue;
    const other = isNegated(spec) ? spec.flags.replace('--no-', '--') : `--no-${option.name()}`;
    command.addOption(new Option(other).hideHelp());
  }
  return command;
}

function readerOf(
  key: string,
  { takes, parse = parseText }: OptionSpec,
  onValue: OnValue | undefined,
): (text: string, before: unknown) => unknown {
  const read = typed(parse);
  return (text, before) => {
    const value = read(text);
    onValue?.(key, text);
    if (takes !== 'texts') return value;
    return Array.isArray(before) ? [...(before as readonly unknown[]), value] : [value];
  };
}
