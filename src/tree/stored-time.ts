/** Times of modification within the range that everything on the way can hold. */

/** Range of a Date, seconds before and after 1970; file systems hold less and clamp on their own. */
const SECONDS_MAX = 8.64e12;

/** The nearest time that can be stored. NaN stays. */
export function nearestStorable(sec: number): number {
  return Math.max(-SECONDS_MAX, Math.min(SECONDS_MAX, sec));
}

/** Whether a time is the end of the range: the object's own may lie beyond. */
export function isAtRangeEnd(sec: number): boolean {
  return Math.abs(sec) >= SECONDS_MAX;
}

/**
 * A time in the form in which Node passes it to the system without ever changing the whole second:
 * a number of seconds, which keeps about a quarter of a microsecond today, or before 1970 (where
 * Node takes numbers for "now") a Date with whole milliseconds.
 */
export function storedTime(mtimeSec: number, nsec: number): number | Date {
  const sec = nearestStorable(mtimeSec);
  if (sec < 0) return new Date(sec * 1000 + Math.floor(nsec / 1e6));
  const time = sec + nsec / 1e9;
  // Rounding may reach the next second, which the next quick check would take for a change.
  return time < sec + 1 ? time : sec + 0.999;
}
