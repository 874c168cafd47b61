/** Options of the tables as programs give them: plain values under their camel-cased names. */
import { UsageError } from '../../errors.ts';
import { nearestWord } from '../../options/nearest.ts';
import {
  attributeName,
  type AttributeName,
  type OptionsOf,
  type OptionSpec,
  type OptionTable,
} from '../../options/option-table.ts';
import type { FILTER_OPTIONS } from '../../options/push-options.ts';
import { OptionValueError, parseText } from '../../options/option-values.ts';
import { FILTER_KEYS, FILTER_KINDS, type FilterEntry } from '../settings/filter-entries.ts';

/** The value of an option; amounts may also be text: `'10%'`, `'512K'`, `'30d'`. */
type GivenValue<Spec> = Spec extends { readonly takes: infer Kind }
  ? Kind extends 'texts'
    ? string | readonly string[]
    : Kind extends 'amount'
      ? number | string
      : string
  : boolean;

/** The options of a table, each under its camel-cased name, all of them optional. */
export type GivenOptions<Table extends OptionTable> = {
  readonly [Key in keyof Table as AttributeName<Key>]?: GivenValue<Table[Key]>;
};

/**
 * Parsed options.
 *
 * @internal
 */
export interface ReadOptions<Table extends OptionTable> {
  readonly values: Partial<OptionsOf<Table>>;
  /** Names of the given options. */
  readonly given: ReadonlySet<string>;
}

/**
 * Parses the options of a table.
 *
 * @param others - options that are parsed elsewhere
 * @throws {UsageError} `option-invalid` — a value; `option-unknown` — no option has this name
 *
 * @internal
 */
export function readOptions<Table extends OptionTable>(
  table: Table,
  options: object,
  others: OptionKinds,
): ReadOptions<Table> {
  const specs = new Map(Object.entries(table).map(([key, spec]) => [attributeName(key), spec]));
  const values: Record<string, unknown> = {};
  assertOptions(options, { ...others, ...kindsOf(table) });
  for (const [name, value] of Object.entries(options)) {
    const spec = specs.get(name);
    if (spec !== undefined && value !== undefined) values[name] = readValue(name, spec, value);
  }
  // The loop parses each value by its spec, as OptionsOf derives its type from it.
  return { values: values as Partial<OptionsOf<Table>>, given: new Set(Object.keys(values)) };
}

function readValue(
  name: string,
  { takes, parse = parseText }: OptionSpec,
  value: unknown,
): unknown {
  if (takes === undefined) {
    if (typeof value === 'boolean') return value;
    throw invalidOption(name, value, 'It must be true or false.');
  }
  const read = (one: unknown): unknown => {
    if (typeof one !== 'string' && (takes !== 'amount' || typeof one !== 'number')) {
      throw invalidOption(name, one, `It must be ${WORDS[takes]}.`);
    }
    try {
      return parse(String(one));
    } catch (error) {
      if (!(error instanceof OptionValueError)) throw error;
      throw invalidOption(name, one, error.message);
    }
  };
  if (takes !== 'texts') return read(value);
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map(read);
}

const WORDS = { amount: 'a number or a text', text: 'a text', texts: 'a text or texts' } as const;

/** The kind of an option that is in no table. `any`: it is checked where it is used. */
export type OptionKind = 'flag' | 'number' | 'text' | 'listener' | 'any';

/** Kinds of options by their names. @internal */
export type OptionKinds = Readonly<Record<string, OptionKind>>;

/** The names of a table's options, whose values {@link readOptions} checks. @internal */
export function kindsOf(table: OptionTable): OptionKinds {
  return Object.fromEntries(Object.keys(table).map((key) => [attributeName(key), 'any']));
}

const TYPES = { flag: 'boolean', number: 'number', text: 'string', listener: 'function' } as const;
const TYPE_TEXTS = {
  flag: 'true or false',
  number: 'a number',
  text: 'a text',
  listener: 'a function',
} as const;

/**
 * Refuses unknown options, which would have no effect, and values of a wrong type.
 *
 * @throws {UsageError} `option-unknown`, `option-invalid`
 * @internal
 */
export function assertOptions(options: object, kinds: OptionKinds): void {
  for (const [name, value] of Object.entries(options)) {
    const kind = kinds[name];
    if (kind === undefined) throw unknownOption(name, Object.keys(kinds));
    if (kind === 'any' || value === undefined || typeof value === TYPES[kind]) continue;
    throw invalidOption(name, value, `It must be ${TYPE_TEXTS[kind]}.`);
  }
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

/** A value of any type in a message. */
function shownValue(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
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

/**
 * Filter rules of one call, in the order of precedence of a configuration table.
 *
 * @internal
 */
export function filterEntriesOf(
  values: Partial<OptionsOf<typeof FILTER_OPTIONS>>,
): readonly FilterEntry[] {
  return FILTER_KEYS.flatMap((key) => {
    const kind = FILTER_KINDS[key];
    return (values[kind] ?? []).map((text) => ({ kind, text }));
  });
}
