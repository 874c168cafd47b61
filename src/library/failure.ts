/** How a run ended, and what becomes of anything that was thrown. */
import { BugError, EcsyncError, ExitCode } from '../errors.ts';
import { interrupted } from '../interruption.ts';

/** A failure as it is told and recorded. */
export interface ShownFailure {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** Only for failures that nobody foresaw. */
  readonly stack?: string;
}

/** How a run ended that did not throw. */
export interface RunEnd {
  readonly exitCode: number;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
  /** The numbers among them are recorded. */
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

/** Of the system's errors Node's words, which name the path, without the name of the error before them. */
function wordsOf({ message }: Error): string {
  return message.replace(/^E[A-Z0-9]+: /, '');
}
