/** Turns anything thrown into the lines, the JSON and the exit code that the command line shows. */
import { BugError, EcsyncError, ExitCode, InterruptedError } from '../../errors.ts';
import { shownText } from '../terminal/terminal.ts';

/** A failure as the command line shows it. */
export interface ShownFailure {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** Only for failures that nobody foresaw. */
  readonly stack?: string;
}

/**
 * Turns anything thrown into what is shown and the exit code.
 *
 * @param interrupted - a signal asked to stop: then whatever broke is its consequence
 */
export function describeFailure(thrown: unknown, interrupted: boolean): ShownFailure {
  const error =
    interrupted && !(thrown instanceof InterruptedError)
      ? new InterruptedError('interrupted', 'interrupted', { cause: thrown })
      : thrown;
  if (error instanceof EcsyncError && !(error instanceof BugError)) {
    return {
      exitCode: error.exitCode,
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    };
  }
  const message = error instanceof Error ? wordsOf(error) : String(error);
  return {
    exitCode: ExitCode.unexpected,
    code: error instanceof BugError ? error.code : 'unexpected',
    message: `unexpected: ${message} (this is a bug in ecsync)`,
    hint: 'Please report it, with what ECSYNC_DEBUG=1 shows in addition.',
    ...(error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {}),
  };
}

/** Of the system's errors Node's words, which name the path, without the name of the error before them. */
function wordsOf({ message }: Error): string {
  return message.replace(/^E[A-Z0-9]+: /, '');
}

/** The lines of a failure for standard error. */
export function failureLines(failure: ShownFailure, debug: boolean): readonly string[] {
  const stack = debug && failure.stack !== undefined ? failure.stack.split('\n') : [];
  return [
    `ecsync: ${shownText(failure.message)}`,
    ...(failure.hint === undefined ? [] : [`hint: ${shownText(failure.hint)}`]),
    ...stack,
  ];
}
