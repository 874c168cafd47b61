/** Options of the tables as programs give them: plain values under their camel-cased names. */
import {
  attributeName,
  type AttributeName,
  type OptionsOf,
  type OptionSpec,
  type OptionTable,
} from '../../options/option-table.ts';
import type { FILTER_OPTIONS } from '../../options/push-options.ts';
import { OptionValueError, parseText } from '../../options/option-values.ts';
import { invalidOption, type OptionKinds } from './given-kinds.ts';
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
 * Parses the options of a table. Options that are in no table are parsed elsewhere.
 *
 * @throws {UsageError} `option-invalid` — a value
 *
 * @internal
 */
export function readOptions<Table extends OptionTable>(
  table: Table,
  options: object,
): ReadOptions<Table> {
  const specs = new Map(Object.entries(table).map(([key, spec]) => [attributeName(key), spec]));
  const values: Record<string, unknown> = {};
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
      throw invalidOption(name, one, hintFor(one, parse) ?? `It must be ${WORDS[takes]}.`);
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

/** Says what a text would have to be, where a value is none. */
function hintFor(value: unknown, parse: (text: string) => unknown): string | undefined {
  if (typeof value !== 'number') return undefined;
  try {
    parse(String(value));
    return undefined;
  } catch (error) {
    return error instanceof OptionValueError ? error.message : undefined;
  }
}

/**
 * The kinds of a table's options.
 *
 * @internal
 */
export function kindsOf(table: OptionTable): OptionKinds {
  const kinds = Object.entries(table).map(([key, spec]) => [
    attributeName(key),
    (name: string, value: unknown): void => void readValue(name, spec, value),
  ]);
  return Object.fromEntries(kinds) as OptionKinds;
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
