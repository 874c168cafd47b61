/** mtimes within the range that Node and the file systems can store. */

/**
 * Limit of a Date, in seconds before and after 1970; file systems store less, and clamp on their
 * own.
 */
const SECONDS_MAX = 8.64e12;

/** The nearest time that can be stored. NaN stays NaN. */
export function nearestStorable(sec: number): number {
  return Math.max(-SECONDS_MAX, Math.min(SECONDS_MAX, sec));
}

/** Whether a time is at the limit, so that the object's real time may lie beyond. */
export function isAtRangeEnd(sec: number): boolean {
  return Math.abs(sec) >= SECONDS_MAX;
}

/**
 * A time in the form that Node passes to the system without changing the whole second: a number of
 * seconds, which is exact to about a quarter of a microsecond today. Before 1970 Node takes numbers
 * for "now", so there it is a Date with whole milliseconds.
 */
export function storedTime(mtimeSec: number, nsec: number): number | Date {
  const sec = nearestStorable(mtimeSec);
  if (sec < 0) return new Date(sec * 1000 + Math.floor(nsec / 1e6));
  const time = sec + nsec / 1e9;
  // Rounding may reach the next second, which the next quick check would see as a change.
  return time < sec + 1 ? time : sec + 0.999;
}
