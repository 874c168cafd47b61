/**
 * How often a vault is pushed: reads durations and times of day, and decides when a push is due.
 */
import { UsageError } from '../errors.ts';

/** A time of day in local time. */
export interface TimeOfDay {
  readonly hour: number;
  readonly minute: number;
}

/** How often a vault is pushed. */
export type Rhythm =
  | {
      readonly kind: 'every';
      /** A multiple of {@link STEP_MIN}, at most {@link EVERY_MAX_MIN}. */
      readonly minutes: number;
    }
  | {
      readonly kind: 'at';
      /** At least one; every day. */
      readonly times: readonly TimeOfDay[];
    };

const STEP_MIN = 5;
const HOUR_MIN = 60;
const DAY_MIN = 24 * HOUR_MIN;
const EVERY_MAX_MIN = 31 * DAY_MIN;
const UNIT_MIN = { m: 1, h: HOUR_MIN, d: DAY_MIN, w: 7 * DAY_MIN };
const AT_TIMES_MAX = 24;
/** Longest random delay for fixed times. */
const JITTER_AT_MAX_SEC = 6 * 3600;
const JITTER_DEFAULT_MAX_SEC = 600;

function minutesOf(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^([0-9]{1,5})([mhdw])$/.exec(text) ?? [];
  const factor = Object.entries(UNIT_MIN).find(([name]) => name === unit)?.[1];
  return factor === undefined ? undefined : Number(digits) * factor;
}

/**
 * Parses `15m`, `1h`, `1d`, `1w`. Inverse of {@link formatEvery}.
 *
 * @returns minutes, a multiple of five
 * @throws {UsageError} `every-invalid`
 */
export function parseEvery(text: string): number {
  const minutes = minutesOf(text);
  if (
    minutes !== undefined &&
    minutes > 0 &&
    minutes <= EVERY_MAX_MIN &&
    minutes % STEP_MIN === 0
  ) {
    return minutes;
  }
  throw new UsageError('every-invalid', `--every: '${text}' is not an interval of a schedule`, {
    hint: 'Use whole minutes in steps of five, hours, days or weeks, up to 31 days: 15m, 1h, 1d.',
  });
}

/** The shortest text that {@link parseEvery} parses to this. */
export function formatEvery(minutes: number): string {
  if (minutes % DAY_MIN === 0) return `${minutes / DAY_MIN}d`;
  return minutes % HOUR_MIN === 0 ? `${minutes / HOUR_MIN}h` : `${minutes}m`;
}

/**
 * Parses an age or a delay: any whole number of minutes, hours, days or weeks.
 *
 * @param name - of the option or key, for the message
 * @returns minutes
 * @throws {UsageError} `duration-invalid`
 */
export function parseDuration(text: string, name: string): number {
  const minutes = minutesOf(text);
  if (minutes !== undefined && minutes <= 366 * DAY_MIN) return minutes;
  throw new UsageError('duration-invalid', `${name}: '${text}' is not a duration`, {
    hint: 'Write a number and m, h, d or w: 10m, 20h, 2d.',
  });
}

/**
 * Parses `02:30`. Inverse of {@link formatTime}.
 *
 * @throws {UsageError} `at-invalid`
 */
export function parseTime(text: string): TimeOfDay {
  const [, hour, minute] = /^([01]?[0-9]|2[0-3]):([0-5][0-9])$/.exec(text) ?? [];
  if (hour !== undefined && minute !== undefined) {
    return { hour: Number(hour), minute: Number(minute) };
  }
  throw new UsageError('at-invalid', `--at: '${text}' is not a time of day`, {
    hint: 'Write hours and minutes of local time: 02:30.',
  });
}

/** `02:30` */
export function formatTime({ hour, minute }: TimeOfDay): string {
  return `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`;
}

/**
 * The rhythm that `--every` or `--at` gives.
 *
 * @returns undefined when neither is given
 * @throws {UsageError} `conflicting-options`, `every-invalid`, `at-invalid`
 */
export function parseRhythm(
  every: string | undefined,
  at: readonly string[] = [],
): Rhythm | undefined {
  if (every !== undefined && at.length > 0) {
    throw new UsageError('conflicting-options', '--every and --at exclude each other', {
      hint: 'Give one of them.',
    });
  }
  if (every !== undefined) return { kind: 'every', minutes: parseEvery(every) };
  if (at.length === 0) return undefined;
  const texts = new Set(at.map((text) => formatTime(parseTime(text))));
  if (texts.size > AT_TIMES_MAX) {
    throw new UsageError('at-invalid', `--at: more than ${AT_TIMES_MAX} times a day`, {
      hint: 'Use --every instead.',
    });
  }
  return { kind: 'at', times: [...texts].sort().map(parseTime) };
}

/**
 * The interval at which a scheduler checks whether a push is due. For a day it is an hour, so that
 * with every scheduler missed or failed runs are retried within the hour.
 *
 * @returns minutes, a divisor of 60
 */
export function pollMinutes(everyMinutes: number): number {
  let [divisor, rest] = [everyMinutes, HOUR_MIN];
  while (rest !== 0) [divisor, rest] = [rest, divisor % rest];
  return divisor;
}

/** The minutes of every hour at which a scheduler checks; `phase` spreads several vaults. */
export function pollPhases(everyMinutes: number, phase: number): readonly number[] {
  const poll = pollMinutes(everyMinutes);
  return Array.from({ length: HOUR_MIN / poll }, (_, i) => (phase % poll) + i * poll);
}

/** Longest random delay, in seconds, that never makes a rhythm skip a push. */
export function jitterMaxSec(rhythm: Rhythm): number {
  return rhythm.kind === 'at' ? JITTER_AT_MAX_SEC : pollMinutes(rhythm.minutes) * 15;
}

/** The default random delay, in seconds: none for fixed times. */
export function jitterDefaultSec(rhythm: Rhythm): number {
  return rhythm.kind === 'at' ? 0 : Math.min(jitterMaxSec(rhythm), JITTER_DEFAULT_MAX_SEC);
}

/** When the last complete push started, and the current time. */
export interface PushTimes {
  /** Milliseconds since 1970; absent: never. */
  readonly lastMs: number | undefined;
  readonly nowMs: number;
}

/**
 * Whether a push is due. A last push in the future shows that the clock was wrong; then a push is
 * due.
 *
 * With `every`, a push is due half a check interval early, since random delays can make a check
 * come a little early.
 */
export function isDue(rhythm: Rhythm, { lastMs, nowMs }: PushTimes): boolean {
  if (lastMs === undefined || lastMs > nowMs) return true;
  if (rhythm.kind === 'at') return lastMs < latestTime(rhythm.times, nowMs);
  const slackMin = pollMinutes(rhythm.minutes) / 2;
  return nowMs - lastMs >= (rhythm.minutes - slackMin) * 60_000;
}

/** The latest of these times up to now, in local time. */
function latestTime(times: readonly TimeOfDay[], nowMs: number): number {
  const now = new Date(nowMs);
  let latest = Number.NEGATIVE_INFINITY;
  for (const { hour, minute } of times) {
    for (const daysBack of [0, 1]) {
      const day = now.getDate() - daysBack;
      const moment = new Date(now.getFullYear(), now.getMonth(), day, hour, minute).getTime();
      if (moment <= nowMs) latest = Math.max(latest, moment);
    }
  }
  return latest;
}

/** The next start of one of these minutes of an hour. */
export function nextMinute(minutes: readonly number[], nowMs: number): number {
  const now = new Date(nowMs);
  const moments = [0, 1].flatMap((hoursOn) =>
    minutes.map((minute) =>
      new Date(
        now.getFullYear(),
        now.getMonth(),
        now.getDate(),
        now.getHours() + hoursOn,
        minute,
      ).getTime(),
    ),
  );
  return Math.min(...moments.filter((moment) => moment > nowMs));
}

/** The next one of these times of day. */
export function nextTime(times: readonly TimeOfDay[], nowMs: number): number {
  const now = new Date(nowMs);
  const moments = [0, 1].flatMap((daysOn) =>
    times.map(({ hour, minute }) =>
      new Date(now.getFullYear(), now.getMonth(), now.getDate() + daysOn, hour, minute).getTime(),
    ),
  );
  return Math.min(...moments.filter((moment) => moment > nowMs));
}
