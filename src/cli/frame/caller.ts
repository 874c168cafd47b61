/** A command as the caller of a run. */
import type { Caller } from '../../library/caller.ts';
import type { Host } from './host.ts';
import type { Warnings } from './report.ts';

/** The caller of a run. Its warnings are shown, and kept for the summary. */
export function callerOf({ platform, signal }: Host, warnings: Warnings): Caller {
  return { platform, signal, warn: (code, message) => warnings.add({ code, message }) };
}
