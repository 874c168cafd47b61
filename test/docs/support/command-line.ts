/** What the command line itself says of a command: whether it would understand it. */
import { CommanderError, type Command } from 'commander';
import { buildProgram } from '../../../src/cli/program.ts';

/** Commands whose words after `--` are options of `push`. */
const PASSES_ON = /^schedule (?:install|run)\b/;

/** What commander says when it is satisfied, or has nothing to run. */
const FINE: ReadonlySet<string> = new Set([
  ...['commander.help', 'commander.helpDisplayed', 'commander.version'],
]);

/** What commander says of a command that is only named. */
const UNFINISHED: ReadonlySet<string> = new Set([
  ...['commander.missingArgument', 'commander.missingMandatoryOptionValue'],
]);

function program(): Command {
  const silent = (): void => undefined;
  return buildProgram({ version: '0', out: silent, err: silent }, silent);
}

/**
 * Parses the words that follow `ecsync`, and runs nothing.
 *
 * @param about.isNamed - arguments may be missing: the text names the command and does not run it
 * @returns why they are not understood; undefined when they are
 */
export function complaintAbout(
  words: readonly string[],
  { isNamed }: { readonly isNamed: boolean },
): string | undefined {
  try {
    program().parse([...words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const isFine = FINE.has(error.code) || (isNamed && UNFINISHED.has(error.code));
    if (!isFine) return `ecsync ${words.join(' ')}: ${error.message}`;
  }
  const end = words.indexOf('--');
  if (end === -1 || !PASSES_ON.test(words.join(' '))) return undefined;
  return complaintAbout(['push', ...words.slice(end + 1)], { isNamed });
}

/** Every option of every command, hidden ones as well: `-n`, `--dry-run`. */
export function knownOptions(): ReadonlySet<string> {
  const known = new Set<string>(['-h', '--help']);
  const visit = (command: Command): void => {
    for (const { short, long } of command.options) {
      for (const name of [short, long]) if (name !== undefined) known.add(name);
    }
    command.commands.forEach(visit);
  };
  visit(program());
  return known;
}
