/**
 * Recovers full times from the times of SFTP 3, which have 32 unsigned bits: a time before 1970
 * looks like one after 2038, and one after 2106 like a current one. Servers also render each name
 * of a listing as `ls -l` does:
 *
 *     -rw-r--r--    1 root     root            5 Mar  7  1965 name
 *     drwxr-xr-x    2 root     root         4096 Nov 29 21:40 name
 *
 * with the time of day for times of the last half year, and with the year for others. Old servers
 * give the time of day for future times too.
 *
 * @see openssh sftp-common.c ls_file (9.2)
 */

/** Times that differ by multiples of this have the same 32 bits. */
const PERIOD_SEC = 2 ** 32;
const YEAR_SEC = 31_556_952;
const DAY_SEC = 86_400;
/** Longer than half a year, since the server's clock may differ. */
const YOUNG_SEC = 200 * DAY_SEC;

const RENDERED = /^\S{10,11} +\d+ +\S+ +\S+ +\d+ [A-Z][a-z]{2} [ \d]\d +(?:(\d{4,9})|\d\d:\d\d) /;

/** A time, possibly ambiguous. */
export interface SftpTime {
  /** Whole seconds since 1970. */
  readonly mtimeSec: number;
  /** The true time may be off by a multiple of the period of 136 years. */
  readonly isUncertain: boolean;
}

/**
 * The full time for its lower 32 bits.
 *
 * @param rendered - the server's rendering of the object; undefined if it gives none
 */
export function sftpTime(low: number, rendered: string | undefined, nowSec: number): SftpTime {
  const isPast = low <= nowSec + DAY_SEC;
  const found = rendered === undefined ? null : RENDERED.exec(rendered);
  if (found === null) return { mtimeSec: low, isUncertain: !isPast };
  const [, year] = found;
  if (year === undefined) {
    const isYoung = isPast && low >= nowSec - YOUNG_SEC;
    return { mtimeSec: low, isUncertain: !isYoung };
  }
  const middleSec = (Number(year) - 1970 + 0.5) * YEAR_SEC;
  const periods = Math.round((middleSec - low) / PERIOD_SEC);
  return { mtimeSec: low + periods * PERIOD_SEC, isUncertain: false };
}

/** Whether two times are equal in the 32 bits of SFTP. */
export function isSameSftpTime(a: number, b: number): boolean {
  return (a - b) % PERIOD_SEC === 0;
}
