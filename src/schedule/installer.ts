/** The interface of all installers of jobs. */
import { UsageError } from '../errors.ts';
import type { ProgramResult } from './machine.ts';
import type { SchedulePlan, Scheduler } from './plan.ts';

/** A file of a job, or its lines in one, exactly as they are written. */
export interface ScheduleFile {
  /** Absolute path, or another place where the text is written. */
  readonly shownPlace: string;
  readonly text: string;
  /** The file's bytes, when it is not UTF-8. */
  readonly bytes?: Uint8Array;
}

/** What is known about an installed job. */
export interface InstalledJob {
  /** Paths of its files, or other places. */
  readonly places: readonly string[];
  /** Milliseconds since 1970, or the scheduler's own words; absent: unknown. */
  readonly nextRun?: number | string;
  /**
   * Why nothing runs the installed job; absent: the scheduler runs it, as far as ecsync can tell.
   */
  readonly inactive?: Inactive | undefined;
}

/** Why an installed job is not run. */
export interface Inactive {
  /** Follows a colon. */
  readonly reason: string;
  /** One imperative sentence. */
  readonly remedy: string;
}

const INSTALL_AGAIN = 'Install it again: ecsync schedule install';

/** The reason for a job that its scheduler does not know, or has stopped. */
export function notLoaded(reason: string): Inactive {
  return { reason, remedy: INSTALL_AGAIN };
}

/** How a job was started as a test. */
export interface StartedJob {
  /** One sentence. */
  readonly shownHow: string;
  /** How the job ended; absent: it was only started. */
  readonly ended?: { readonly shownStatus: string };
}

/**
 * One scheduler of the machine. Every method throws {UsageError} `scheduler-failed` when it
 * refuses.
 */
export interface Installer {
  readonly scheduler: Scheduler;
  /** What `install` writes. Pure. */
  files(plan: SchedulePlan): readonly ScheduleFile[];
  /**
   * Installs the job, replacing an older one of the same name.
   *
   * @returns sentences for the user
   */
  install(plan: SchedulePlan): Promise<readonly string[]>;
  /** @returns whether the job existed */
  remove(name: string): Promise<boolean>;
  /** @returns undefined when the job does not exist */
  show(name: string, nowMs: number): Promise<InstalledJob | undefined>;
  /** Lets the scheduler start an installed job now. */
  start(name: string): Promise<StartedJob>;
}

/**
 * Throws when a program of the system failed.
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
    throw new UsageError('scheduler-missing', `this machine has no program ${program}`, {
      hint: 'Choose another scheduler with --platform, or see the files with --print.',
    });
  }
  const said = (stderr.trim() || stdout.trim()).split('\n')[0] ?? '';
  throw new UsageError('scheduler-failed', `${[program, ...words].join(' ')}: ${said}`, {
    hint: `It ended with status ${status}. See what would be installed with --print.`,
    facts: { status },
  });
}
