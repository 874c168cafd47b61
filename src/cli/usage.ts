/** Turns commander's errors into usage errors, and recognises when it has answered by itself. */
import type { Command } from 'commander';
import { UsageError, type UsageCode } from '../errors.ts';
import { FUTURE_COMMANDS } from './program.ts';

/** The codes for commander's errors. */
const CODES: ReadonlyMap<string, UsageCode> = new Map([
  ['commander.conflictingOption', 'conflicting-option'],
  ['commander.error', 'error'],
  ['commander.excessArguments', 'excess-arguments'],
  ['commander.invalidArgument', 'invalid-argument'],
  ['commander.missingArgument', 'missing-argument'],
  ['commander.missingMandatoryOptionValue', 'missing-mandatory-option-value'],
  ['commander.optionMissingArgument', 'option-missing-argument'],
  ['commander.unknownCommand', 'unknown-command'],
  ['commander.unknownOption', 'unknown-option'],
]);

/** The parts of commander's exceptions that are used here. */
interface ParsingError extends Error {
  readonly code: string;
  readonly exitCode: number;
}

/** Whether an exception is one of commander. */
export function isParsingError(error: unknown): error is ParsingError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('commander.')
  );
}

/** Whether help or the version was printed. */
export function isAnswered(error: ParsingError): boolean {
  return error.exitCode === 0;
}

/** Converts an error of commander. Its suggestion becomes the hint. */
export function toUsageError(error: ParsingError, program: Command): UsageError {
  if (error.code === 'commander.help') {
    return new UsageError('no-command', 'no command was given', { hint: 'See `ecsync help`.' });
  }
  const unknown = /unknown command '([^']*)'/.exec(error.message)?.[1];
  const future = unknown === undefined ? undefined : FUTURE_COMMANDS.get(unknown);
  if (unknown !== undefined && future !== undefined) {
    return new UsageError('not-in-this-release', `'${unknown}' is not in this release of ecsync`, {
      hint: future,
    });
  }
  const [first = '', suggestion] = error.message.split('\n');
  const nearest = /^\((Did you mean .*)\)$/.exec(suggestion ?? '')?.[1];
  const words = namedCommand(program.args, program);
  const isName = error.code === 'commander.unknownOption' && words === 'name decode';
  const dash = isName ? ' A name that begins with - goes behind --.' : '';
  return new UsageError(CODES.get(error.code) ?? 'error', first.replace(/^error: /, ''), {
    hint: `${nearest ?? `See \`ecsync help${words === '' ? '' : ` ${words}`}\`.`}${dash}`,
  });
}

/** The command that a command line names, as far as it is known: `remote add`. */
export function namedCommand(args: readonly string[], program: Command): string {
  const names: string[] = [];
  let command = program;
  for (const word of args) {
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) {
      if (names.length > 0) break;
      continue;
    }
    names.push(word);
    command = next;
  }
  return names.join(' ');
}
