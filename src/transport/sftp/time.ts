/**
 * Times of SFTP 3, which have 32 bits without a sign: one before 1970 looks like one after 2038, and one
 * after 2106 like one of our days. Servers also render each name of a listing as `ls -l` does:
 *
 *     -rw-r--r--    1 root     root            5 Mar  7  1965 name
 *     drwxr-xr-x    2 root     root         4096 Nov 29 21:40 name
 *
 * with the time of day of what is younger than half a year, and else with the year. Old servers have the
 * time of day of what is to come, too.
 *
 * @see openssh sftp-common.c ls_file (9.2)
 */

/** What 32 bits leave open. */
const PERIOD_SEC = 2 ** 32;
const YEAR_SEC = 31_556_952;
const DAY_SEC = 86_400;
/** The server's clock may be another one. */
const YOUNG_SEC = 200 * DAY_SEC;

const RENDERED = /^\S{10,11} +\d+ +\S+ +\S+ +\d+ [A-Z][a-z]{2} [ \d]\d +(?:(\d{4,9})|\d\d:\d\d) /;

/** A time as far as it is known. */
export interface SftpTime {
  /** Whole seconds since 1970. */
  readonly mtimeSec: number;
  /** It may also be one of whole periods of 136 years before or after. */
  readonly isUncertain: boolean;
}

/**
 * The time behind the lower 32 bits of one.
 *
 * @param rendered - the server's own rendering of the object; absent where it gives none
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

/** Whether two times are the same, as far as SFTP tells. */
export function isSameSftpTime(a: number, b: number): boolean {
  return (a - b) % PERIOD_SEC === 0;
}
