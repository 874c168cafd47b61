/** The lines in which the command line shows a failure. */
import type { ShownFailure } from '../../library/failure.ts';
import { shownText } from '../terminal/terminal.ts';

/** The lines of a failure on standard error. */
export function failureLines(failure: ShownFailure, debug: boolean): readonly string[] {
  const stack = debug && failure.stack !== undefined ? failure.stack.split('\n') : [];
  return [
    `ecsync: ${shownText(failure.message)}`,
    ...(failure.hint === undefined ? [] : [`hint: ${shownText(failure.hint)}`]),
    ...stack,
  ];
}
