/** Parses the values of options from the command line, the environment and configuration. */
import { PRESET_NAMES } from '../tree/filter/filter-presets.ts';
import type { RatePlan } from '../transport/throttle.ts';
import { nearestWord } from './nearest.ts';

/**
 * The value of an option is invalid. The message says what it must be, but not which option it is.
 */
export class OptionValueError extends Error {}

/** A number of objects, or a share of all existing ones. */
export type ObjectLimit = number | { readonly percent: number };

const SPAN_MAX_SEC = 366 * 86_400;
const UNIT_SEC: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const FACTORS: Readonly<Record<string, number>> = { '': 0, b: 0, k: 1, m: 2, g: 3, t: 4 };

/** `27`, or `29` to `32`. */
export function parseProtocol(text: string): number {
  const protocol = /^[0-9]{2}$/.test(text) ? Number(text) : 0;
  if (protocol === 27 || (protocol >= 29 && protocol <= 32)) return protocol;
  throw new OptionValueError('It must be 27, 29, 30, 31 or 32.');
}

/** `30s`, `90m`, `26h`, `2d`, as seconds. */
export function parseSpan(text: string): number {
  const [, digits = '', unit = ''] = /^([0-9]{1,9})([smhdw])$/.exec(text) ?? [];
  const seconds = Number(digits) * (UNIT_SEC[unit] ?? 0);
  if (seconds > 0 && seconds <= SPAN_MAX_SEC) return seconds;
  throw new OptionValueError('It must be a time such as 30s, 90m, 26h or 2d.');
}

/** A number with a fraction and a suffix (b, K, M, G, T; 1024 each). Undefined if it is none. */
function scaled(text: string, unit: number): number | undefined {
  const [, number, suffix] = /^([0-9]{1,12}(?:\.[0-9]{1,6})?)([bKkMmGgTt]?)$/.exec(text) ?? [];
  if (number === undefined || suffix === undefined) return undefined;
  const factor = suffix === '' ? unit : 1024 ** (FACTORS[suffix.toLowerCase()] ?? 0);
  const bytes = Math.round(Number(number) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The size of a file: `500`, `10K`, `1.5G`. */
export function parseFileSize(text: string): number {
  const bytes = scaled(text, 1);
  if (bytes !== undefined) return bytes;
  throw new OptionValueError('It must be a size such as 4096, 10K, 1.5M or 2G.');
}

/** `100`, or `10%`. */
export function parseObjectLimit(text: string): ObjectLimit {
  const percent = /^([0-9]{1,3})%$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) <= 100) return { percent: Number(percent) };
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw new OptionValueError('It must be a whole number, or a share such as 10%.');
}

/** How much may be sent: as {@link parseFileSize}, but not zero. */
export function parseBudget(text: string): number {
  const bytes = parseFileSize(text);
  if (bytes > 0) return bytes;
  throw new OptionValueError('It must be more than nothing, such as 500M.');
}

/**
 * A rate such as `512K` (a second; without a suffix KiB, as in rsync). `0` and `off`: unlimited.
 */
function parseRate(text: string): number | undefined {
  if (text === 'off') return Infinity;
  const bytes = scaled(text, 1024);
  if (bytes === undefined || bytes === 0) return bytes === 0 ? Infinity : undefined;
  return bytes < 1024 ? undefined : bytes;
}

/**
 * `512K`, or a timetable in local time: `08:00,512K 18:00,2M 23:00,off`. The last entry applies
 * until the first one of the next day.
 */
export function parseBandwidth(text: string): RatePlan {
  const whole = parseRate(text.trim());
  if (whole !== undefined) return [{ fromMinute: 0, bytesPerSec: whole }];
  const plan = text
    .trim()
    .split(/\s+/)
    .map((entry) => {
      const [, hour, minute, rate = ''] = /^([0-9]{1,2}):([0-9]{2}),(\S+)$/.exec(entry) ?? [];
      const bytesPerSec = parseRate(rate);
      const fromMinute = Number(hour) * 60 + Number(minute);
      if (bytesPerSec === undefined || !(fromMinute < 24 * 60) || Number(minute) > 59) {
        throw new OptionValueError(
          'It must be a rate of 1K or more such as 512K or 1.5M, or times with one: "08:00,512K 23:00,off".',
        );
      }
      return { fromMinute, bytesPerSec };
    });
  return plan.sort((a, b) => a.fromMinute - b.fromMinute);
}

/** A whole number within bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : -1;
    if (value < min || value > max) {
      throw new OptionValueError(
        max === Number.MAX_SAFE_INTEGER
          ? `It must be a whole number, ${min} or more.`
          : `It must be a whole number from ${min} to ${max}.`,
      );
    }
    return value;
  };
}

/** A size in bytes with an optional suffix K or M (1024, 1024²), within bounds. */
export function byteSize(min: number, max: number): (text: string) => number {
  return (text) => {
    const [, digits = '', suffix = ''] = /^([0-9]{1,9})([KkMm]?)$/.exec(text) ?? [];
    const factor = { '': 1, k: 1024, m: 1024 * 1024 }[suffix.toLowerCase()] ?? 1;
    const bytes = digits === '' ? -1 : Number(digits) * factor;
    if (bytes < min || bytes > max) {
      throw new OptionValueError(
        `It must be a size from ${min} to ${max} bytes, such as 4128 or 32K.`,
      );
    }
    return bytes;
  };
}

/** Any text that is not empty. */
export function parseText(text: string): string {
  if (text !== '') return text;
  throw new OptionValueError('It must not be empty.');
}

/** The name of a file, without a folder. */
export function parseFileName(text: string): Buffer {
  const isPath = text === '' || text === '.' || text === '..' || /[/\0]/.test(text);
  if (!isPath) return Buffer.from(text);
  throw new OptionValueError('It must be the name of a file alone, such as .nobackup.');
}

/** Names of presets: `os,dev-caches`. */
export function parsePresets(text: string): readonly string[] {
  const names = text.split(/[\s,]+/).filter((name) => name !== '');
  const unknown = names.find((name) => !PRESET_NAMES.includes(name));
  const all = PRESET_NAMES.join(', ');
  if (unknown === undefined) {
    if (names.length > 0) return names;
    throw new OptionValueError(`It must be one of ${all}, or several with commas between.`);
  }
  const nearest = nearestWord(unknown, PRESET_NAMES);
  const hint = nearest === undefined ? `There are: ${all}.` : `Did you mean ${nearest}?`;
  throw new OptionValueError(`There is no preset '${unknown}'. ${hint}`);
}
