import { expect, it } from 'vitest';
import { isSameSftpTime, sftpTime } from '../../../src/transport/sftp/time.ts';

const PERIOD = 2 ** 32;
const NOW = 1_800_000_000;
const DAY = 86_400;
const line = (date: string): string => `-rw-r--r--    1 me       users            5 ${date} a b`;

it.each([
  // The year decides.
  [-1 + PERIOD, line('Dec 31  1969'), -1, false],
  [-1 + PERIOD, line('Jan  1  1970'), -1, false],
  [-1 + PERIOD, line('Feb  7  2106'), PERIOD - 1, false],
  [100, line('Feb  7  2106'), PERIOD + 100, false],
  [100, line('Jan  1  1970'), 100, false],
  [5, line('Jan  1  12345'), 5 + 76 * PERIOD, false],
  // The time of day: the last half year, or the future.
  [NOW - DAY, line('Jan  1 00:00'), NOW - DAY, false],
  [NOW + 1000, line('Jan  1 00:00'), NOW + 1000, false],
  [NOW - 300 * DAY, line('Jan  1 00:00'), NOW - 300 * DAY, true],
  [NOW + 2 * DAY, line('Jan  1 00:00'), NOW + 2 * DAY, true],
  // No rendering, or an unknown one.
  [NOW - 300 * DAY, undefined, NOW - 300 * DAY, false],
  [NOW + 2 * DAY, undefined, NOW + 2 * DAY, true],
  [NOW + 2 * DAY, 'a b', NOW + 2 * DAY, true],
  [NOW + 2 * DAY, '-rw-r--r-- 1 me users 5 2026-01-01 00:00 a', NOW + 2 * DAY, true],
])('the lower bits %i and %j are %i', (low, rendered, mtimeSec, isUncertain) => {
  expect(sftpTime(low, rendered, NOW)).toEqual({ mtimeSec, isUncertain });
  expect(isSameSftpTime(low, mtimeSec)).toBe(true);
});
