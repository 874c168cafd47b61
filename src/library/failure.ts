/** Describes how a run ended, and converts anything thrown into a failure. */
import { BugError, EcsyncError, ExitCode } from '../errors.ts';
import { interrupted } from '../interruption.ts';

/** A failure as it is shown and recorded. */
export interface ShownFailure {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** Only for unexpected failures. */
  readonly stack?: string;
}

/** The end of a run that did not throw. */
export interface RunEnd {
  readonly exitCode: number;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
  /** Numbers among them are recorded. */
  readonly figures?: Readonly<Record<string, unknown>>;
}

/**
 * Turns anything thrown into what is shown and the exit code.
 *
 * @param isStopped - a signal asked to stop: then whatever broke is its consequence
 */
export function describeFailure(thrown: unknown, isStopped: boolean): ShownFailure {
  const error = isStopped ? interrupted(thrown) : thrown;
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

/** For errors of the system, Node's text with the path, without the leading error name. */
function wordsOf({ message }: Error): string {
  return message.replace(/^E[A-Z0-9]+: /, '');
}
