/** The content of a scheduled job, independent of its scheduler. */
import { createHash } from 'node:crypto';
import { UsageError } from '../errors.ts';
import { formatEvery, formatTime, pollPhases, type Rhythm } from './rhythm.ts';

/** The supported schedulers. */
export const SCHEDULERS = ['systemd', 'launchd', 'windows', 'cron'] as const;
export type Scheduler = (typeof SCHEDULERS)[number];

/** A password that systemd passes to the job; it is never written into a unit. */
export interface Credential {
  /** Absolute path. */
  readonly file: string;
  /** Made by `systemd-creds encrypt`. */
  readonly isEncrypted: boolean;
}

/** All parts of a scheduled job. Paths are absolute, in the form of the scheduler's machine. */
export interface SchedulePlan {
  /** {@link scheduleName} of the vault directory. */
  readonly name: string;
  /** Source folder, for display. */
  readonly shownFolder: string;
  readonly vaultDir: string;
  readonly rhythm: Rhythm;
  readonly node: string;
  readonly ecsync: string;
  /** Names of remotes, `all`, or none for the vault's first. */
  readonly remotes: readonly string[] | 'all';
  /** Options of `push`, each a word. */
  readonly pushArguments: readonly string[];
  readonly isLowPriority: boolean;
  /** Longest random delay, seconds. */
  readonly jitterSec: number;
  /** Search path for programs; only for schedulers that provide almost none. */
  readonly searchPath?: string;
  /** systemd only. */
  readonly credential?: Credential;
  /** Windows only: `MACHINE\user`. */
  readonly userId?: string;
}

/**
 * The name of a vault's job with every scheduler: the plain characters of the folder's name, and
 * the first 40 bits of SHA-256 of the vault directory's path. So several vaults on one machine
 * never collide.
 *
 * @param folderName - last component of the source folder
 * @param vaultDir - absolute, with symlinks resolved
 */
export function scheduleName(folderName: string, vaultDir: string): string {
  const plain = folderName
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 24)
    .replace(/^-+|-+$/g, '');
  const id = createHash('sha256').update(vaultDir).digest('hex').slice(0, 10);
  return plain === '' ? id : `${plain}-${id}`;
}

/** The minutes of every hour at which a job with `every` checks whether a push is due. */
export function phasesOf(plan: SchedulePlan, everyMinutes: number): readonly number[] {
  return pollPhases(everyMinutes, Number.parseInt(plan.name.slice(-4), 16));
}

/**
 * The words of the job, program first: `NODE ECSYNC schedule run --vault-dir DIR …`.
 *
 * @param own - what the scheduler cannot do itself: with `jitter` the job makes the random delay
 * @throws {UsageError} `schedule-word-invalid` — a word with a control character or half a
 *   character
 */
export function jobArguments(
  plan: SchedulePlan,
  own: { readonly jitter: boolean } = { jitter: false },
): readonly string[] {
  const { rhythm, remotes, pushArguments, jitterSec } = plan;
  const words = [
    plan.node,
    plan.ecsync,
    'schedule',
    'run',
    '--vault-dir',
    plan.vaultDir,
    ...(rhythm.kind === 'every'
      ? ['--every', formatEvery(rhythm.minutes)]
      : rhythm.times.flatMap((time) => ['--at', formatTime(time)])),
    ...(own.jitter && jitterSec > 0 ? ['--delay-up-to', String(jitterSec)] : []),
    ...(remotes === 'all' ? ['--all'] : remotes),
    ...(pushArguments.length === 0 ? [] : ['--', ...pushArguments]),
  ];
  for (const word of words) assertPlain(word);
  return words;
}

/** Refuses line breaks and other control characters, which no scheduler passes on unchanged. */
export function assertPlain(word: string): void {
  // eslint-disable-next-line no-control-regex -- exactly these are looked for
  if (!/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]|\p{Surrogate}/u.test(word)) return;
  throw new UsageError(
    'schedule-word-invalid',
    `${JSON.stringify(word)} cannot be written into a schedule`,
    { hint: 'Use paths and options without line breaks and other control characters.' },
  );
}
