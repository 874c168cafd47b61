/** A command as whoever starts a run. */
import type { Caller } from '../../library/caller.ts';
import type { Host } from './host.ts';
import type { Warnings } from './report.ts';

/** Warnings of the run are shown, and kept for the summary. */
export function callerOf({ platform, signal }: Host, warnings: Warnings): Caller {
  return { platform, signal, warn: (code, message) => warnings.add({ code, message }) };
}
