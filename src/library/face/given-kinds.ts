/** The kinds of values that options and arguments of the library have, and the refusal of others. */
import { UsageError } from '../../errors.ts';
import { nearestWord } from '../../options/nearest.ts';

interface Kind {
  /** Completes "It must be …". */
  readonly words: string;
  readonly accepts: (value: unknown) => boolean;
}

const OBJECT_KINDS: readonly unknown[] = ['file', 'folder', 'link', 'special'];

/** The kinds by their names. Undefined means that an option is not given, and is of any kind. */
const KINDS = {
  flag: { words: 'true or false', accepts: (value) => typeof value === 'boolean' },
  number: { words: 'a number', accepts: isNumber },
  size: {
    words: 'a whole number, 0 or more',
    accepts: (value) => Number.isSafeInteger(value) && isNumber(value) && value >= 0,
  },
  percentage: {
    words: 'a number, more than 0 and at most 100',
    accepts: (value) => isNumber(value) && value > 0 && value <= 100,
  },
  wait: {
    words: 'true, false, or a number of seconds, 0 or more',
    accepts: (value) => typeof value === 'boolean' || (isNumber(value) && value >= 0),
  },
  date: {
    words: 'a Date that is valid',
    accepts: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
  },
  text: { words: 'a text', accepts: isText },
  texts: {
    words: 'a text or texts',
    accepts: (value) => (Array.isArray(value) ? value.every(isText) : isText(value)),
  },
  /** A folder or an address. Where nothing is meant, the current folder would be taken. */
  place: {
    words: "a text that is not empty ('.' is the current folder)",
    accepts: (value) => isText(value) && value !== '',
  },
  /** A path in a copy, or a pattern for one. */
  path: { words: 'a text, or bytes', accepts: isTextOrBytes },
  /** A list that was computed and came out empty must not mean everything. */
  paths: {
    words: 'a list of texts or bytes, and not empty; without this option everything is meant',
    accepts: (value) => Array.isArray(value) && value.length > 0 && value.every(isTextOrBytes),
  },
  objectKinds: {
    words: `a list of ${OBJECT_KINDS.join(', ')}`,
    accepts: (value) => Array.isArray(value) && value.every((one) => OBJECT_KINDS.includes(one)),
  },
  listener: { words: 'a function', accepts: (value) => typeof value === 'function' },
  signal: { words: 'an AbortSignal', accepts: isSignal },
  /** Its value is never shown. */
  secret: { words: 'a text, or bytes', accepts: isTextOrBytes },
  /** Checked where it is used, before anything happens. */
  any: { words: 'anything', accepts: () => true },
} as const satisfies Readonly<Record<string, Kind>>;

/** A name of a kind, or a function that throws for a wrong value. */
export type OptionKind = keyof typeof KINDS | ((name: string, value: unknown) => void);

/** Kinds of options by their names. @internal */
export type OptionKinds = Readonly<Record<string, OptionKind>>;

/**
 * Refuses unknown options, which would have no effect, and values of a wrong kind.
 *
 * @throws {UsageError} `option-unknown`, `option-invalid`
 * @internal
 */
export function assertOptions(options: unknown, kinds: OptionKinds): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    // A text may be a password that was meant as an option.
    throw new UsageError('option-invalid', `the options are ${typeOf(options)}`, {
      hint: 'Give an object, such as { password: … }, or nothing.',
    });
  }
  for (const [name, value] of Object.entries(options)) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) throw unknownOption(name, Object.keys(kinds));
    if (value === undefined) continue;
    if (typeof kind === 'function') kind(name, value);
    else if (!KINDS[kind].accepts(value)) throw wrongKind(name, value, kind);
  }
}

/**
 * Refuses an argument of a wrong kind.
 *
 * @throws {UsageError} `invalid-argument`
 * @internal
 */
export function assertArgument(name: string, value: unknown, kind: keyof typeof KINDS): void {
  const { accepts, words } = KINDS[kind];
  if (accepts(value)) return;
  throw new UsageError('invalid-argument', `the ${name} is ${shownValue(value)}`, {
    hint: `It must be ${words}.`,
  });
}

/**
 * Refuses options that other functions have but this one ignores.
 *
 * @throws {UsageError} `option-unknown`
 * @internal
 */
export function assertWithout(options: object, names: readonly string[]): void {
  const found = Object.keys(options).find((name) => names.includes(name));
  if (found !== undefined) throw unknownOption(found, []);
}

/**
 * Refuses a number out of bounds.
 *
 * @throws {UsageError} `option-invalid`
 * @internal
 */
export function assertWithin(
  name: string,
  value: number | undefined,
  [least, most]: readonly [number, number],
): void {
  if (value === undefined || (value >= least && value <= most)) return;
  throw invalidOption(name, value, `It must be a number from ${least} to ${most}.`);
}

/**
 * The error for an option with a wrong value.
 *
 * @internal
 */
export function invalidOption(name: string, value: unknown, hint: string): UsageError {
  return new UsageError('option-invalid', `the option '${name}' is ${shownValue(value)}`, { hint });
}

function wrongKind(name: string, value: unknown, kind: keyof typeof KINDS): UsageError {
  const hint = `It must be ${KINDS[kind].words}.`;
  if (kind !== 'secret') return invalidOption(name, value, hint);
  const message = `the option '${name}' is ${typeOf(value)}`;
  return new UsageError('option-invalid', message, { hint });
}

/**
 * The error for a name that no option has.
 *
 * @internal
 */
export function unknownOption(name: string, known: readonly string[]): UsageError {
  const nearest = nearestWord(name, known);
  return new UsageError('option-unknown', `there is no option '${name}'`, {
    hint: nearest === undefined ? 'See docs/library.md.' : `Did you mean '${nearest}'?`,
  });
}

/** A value of any type in a message. */
function shownValue(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  return isPlain ? String(value) : typeOf(value);
}

function typeOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'string') return 'a text';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTextOrBytes(value: unknown): boolean {
  return typeof value === 'string' || value instanceof Uint8Array;
}

function isSignal(value: unknown): boolean {
  return value instanceof AbortSignal;
}
