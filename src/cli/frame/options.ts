/** Options that many commands have, and the parsers of their values. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { UsageError } from '../../errors.ts';

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
  /** How a terminal is asked; no option of the command line. */
  readonly ask?: () => Promise<Buffer>;
}

/** Where the vault is. */
function addPlaceOptions(command: Command): Command {
  return command
    .option('-C <dir>', 'work as if started in DIR')
    .option('--vault-dir <dir>', 'the vault directory, when it is not .ecsync/ in the folder');
}

/** Options of every command; also accepted before it, as in git. */
export function addCommonOptions(command: Command): Command {
  return addPlaceOptions(command)
    .option('-q, --quiet', 'say only what went wrong')
    .option('-v, --verbose', 'say more')
    .option('--json', 'one JSON object a line, the last one a summary')
    .option('--log-file <file>', 'append what is said to FILE, with the time, also with -q');
}

export function addSecretOptions(command: Command, choices: { masterkey: boolean }): Command {
  command
    .option('--passfile <file>', 'read the password from the first line of FILE')
    .option('--extpass <cmd>', 'run CMD (no shell) and take the first line it prints');
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
  // What was given is not repeated: it may be the key.
  throw new UsageError('masterkey-on-command-line', 'a master key is never given as an option', {
    hint: 'Use --masterkey=stdin and give the key on standard input.',
  });
}

/** Options of the contract that this release does not have: known, hidden, refused. */
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
export function commandPath(command: Command): string {
  const above = command.parent;
  return above?.parent ? `${commandPath(above)} ${command.name()}` : command.name();
}

/** A whole number within bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : -1;
    if (value < min || value > max) {
      throw new InvalidArgumentError(
        max === Number.MAX_SAFE_INTEGER
          ? `It must be a whole number, ${min} or more.`
          : `It must be a whole number from ${min} to ${max}.`,
      );
    }
    return value;
  };
}

/** A size in bytes with an optional suffix K or M (1024, 1024²), within bounds. */
export function byteSize(min: number, max: number): (text: string) => number {
  return (text) => {
    const [, digits = '', suffix = ''] = /^([0-9]{1,9})([KkMm]?)$/.exec(text) ?? [];
    const factor = { '': 1, k: 1024, m: 1024 * 1024 }[suffix.toLowerCase()] ?? 1;
    const bytes = digits === '' ? -1 : Number(digits) * factor;
    if (bytes < min || bytes > max) {
      throw new InvalidArgumentError(
        `It must be a size from ${min} to ${max} bytes, such as 4128 or 32K.`,
      );
    }
    return bytes;
  };
}

/** For an option that may be given several times. */
export function oneMore(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
