/** What every installer of jobs can do, whichever scheduler it serves. */
import { UsageError } from '../errors.ts';
import type { ProgramResult } from './machine.ts';
import type { SchedulePlan, Scheduler } from './plan.ts';

/** A file of a job, or the lines of one, exactly as they are written. */
export interface ScheduleFile {
  /** Absolute path, or where else the text goes. */
  readonly shownPlace: string;
  readonly text: string;
  /** The file's bytes, when it is not UTF-8. */
  readonly bytes?: Uint8Array;
}

/** What is known about an installed job. */
export interface InstalledJob {
  /** Files, or where else the job is. */
  readonly places: readonly string[];
  /** Milliseconds since 1970, or the scheduler's own words; absent: it does not tell. */
  readonly nextRun?: number | string;
  /** Why nothing runs it, though it is installed; absent: the scheduler does, as far as can be told. */
  readonly inactive?: Inactive | undefined;
}

/** Why an installed job is not run. */
export interface Inactive {
  /** To be read after a colon. */
  readonly reason: string;
  /** One imperative sentence. */
  readonly remedy: string;
}

const INSTALL_AGAIN = 'Install it again: ecsync schedule install';

/** A job that its scheduler does not know, or has stopped. */
export function notLoaded(reason: string): Inactive {
  return { reason, remedy: INSTALL_AGAIN };
}

/** How a job was started for a test. */
export interface StartedJob {
  /** One sentence. */
  readonly shownHow: string;
  /** How the job ended; absent: it was only started. */
  readonly ended?: { readonly shownStatus: string };
}

/** One scheduler of the machine. Every method throws {UsageError} `scheduler-failed` when it refuses. */
export interface Installer {
  readonly scheduler: Scheduler;
  /** What `install` writes. Pure. */
  files(plan: SchedulePlan): readonly ScheduleFile[];
  /**
   * Installs the job, in the place of an older one of the same name.
   *
   * @returns sentences a person should know
   */
  install(plan: SchedulePlan): Promise<readonly string[]>;
  /** @returns whether there was one */
  remove(name: string): Promise<boolean>;
  /** @returns undefined when there is none */
  show(name: string, nowMs: number): Promise<InstalledJob | undefined>;
  /** Has the scheduler start an installed job now. */
  start(name: string): Promise<StartedJob>;
}

/**
 * Refuses what a program of the system refused.
 *
 * @throws {UsageError} `scheduler-missing`, `scheduler-failed`
 */
export function assertDone(
  program: string,
  words: readonly string[],
  { status, stderr, stdout }: ProgramResult,
): void {
  if (status === 0) return;
  if (status === undefined) {
    throw new UsageError('scheduler-missing', `there is no program ${program} here`, {
      hint: 'Choose another scheduler with --platform, or see the files with --print.',
    });
  }
  const said = (stderr.trim() || stdout.trim()).split('\n')[0] ?? '';
  throw new UsageError('scheduler-failed', `${[program, ...words].join(' ')}: ${said}`, {
    hint: `It ended with status ${status}. See what would be installed with --print.`,
    facts: { status },
  });
}
