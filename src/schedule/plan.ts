/** What a scheduled job consists of, independent of its scheduler. */
import { createHash } from 'node:crypto';
import { UsageError } from '../errors.ts';
import { formatEvery, formatTime, pollPhases, type Rhythm } from './rhythm.ts';

/** The schedulers that jobs can be written for. */
export const SCHEDULERS = ['systemd', 'launchd', 'windows', 'cron'] as const;
export type Scheduler = (typeof SCHEDULERS)[number];

/** A password that systemd hands to the job, never written into a unit. */
export interface Credential {
  /** Absolute path. */
  readonly file: string;
  /** Made by `systemd-creds encrypt`. */
  readonly isEncrypted: boolean;
}

/** Everything that a scheduled job is made of. Paths are absolute, as the scheduler's machine writes them. */
export interface SchedulePlan {
  /** {@link scheduleName} of the vault directory. */
  readonly name: string;
  /** Source folder, for people. */
  readonly shownFolder: string;
  readonly vaultDir: string;
  readonly rhythm: Rhythm;
  readonly node: string;
  readonly ecsync: string;
  /** Names of remotes, `all`, or none: then the vault's first. */
  readonly remotes: readonly string[] | 'all';
  /** Options of `push`, each a word. */
  readonly pushWords: readonly string[];
  readonly isLowPriority: boolean;
  /** Longest delay by chance, seconds. */
  readonly jitterSec: number;
  /** Search path for programs; only for schedulers that have next to none. */
  readonly searchPath?: string;
  /** systemd only. */
  readonly credential?: Credential;
  /** Windows only: `MACHINE\user`. */
  readonly userId?: string;
}

/**
 * What the job of a vault is called with every scheduler: the folder's name as far as it is plain,
 * and the first 40 bits of SHA-256 over the path of the vault directory. So several vaults of one
 * machine never meet.
 *
 * @param folderName - last component of the source folder
 * @param vaultDir - absolute, links resolved
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

/** The minutes of every hour at which a job with `every` asks whether a push is due. */
export function phasesOf(plan: SchedulePlan, everyMinutes: number): readonly number[] {
  return pollPhases(everyMinutes, Number.parseInt(plan.name.slice(-4), 16));
}

/**
 * The words of the job, program first: `NODE ECSYNC schedule run --vault-dir DIR …`.
 *
 * @param own - what the scheduler cannot do by itself: then the job delays itself by chance
 * @throws {UsageError} `schedule-word-invalid` — a word with a control character or half a character
 */
export function jobWords(
  plan: SchedulePlan,
  own: { readonly jitter: boolean } = { jitter: false },
): readonly string[] {
  const { rhythm, remotes, pushWords, jitterSec } = plan;
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
    ...(pushWords.length === 0 ? [] : ['--', ...pushWords]),
  ];
  for (const word of words) assertPlain(word);
  return words;
}

/** No scheduler carries line breaks or other control characters unharmed. */
export function assertPlain(word: string): void {
  // eslint-disable-next-line no-control-regex -- exactly these are looked for
  if (!/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]|\p{Surrogate}/u.test(word)) return;
  throw new UsageError(
    'schedule-word-invalid',
    `${JSON.stringify(word)} cannot be written into a schedule`,
    { hint: 'Use paths and options without line breaks and other control characters.' },
  );
}
