/** The shape of a table of options, and the types derived from one. */
import type { SourceLimitOptions } from '../tree/local/source-limits.ts';

/**
 * One option. Its key is its long name with underscores, which is also its key in TOML and the end
 * of its variable.
 */
export interface OptionSpec {
  /**
   * As help shows it: `-c, --checksum`, `--max-delete <n>`. `--no-owner`: on unless it is negated.
   */
  readonly flags: string;
  readonly help: string;
  /**
   * The type of its value in TOML; `amount`: a number, or a text such as `"10%"`. Absent: it is a
   * flag.
   */
  readonly takes?: 'amount' | 'text' | 'texts';
  /**
   * Parses a value, or each of several. Absent: any text that is not empty. Throws
   * `OptionValueError`.
   */
  readonly parse?: (text: string) => unknown;
  /** The value if the option is not given. */
  readonly default?: unknown;
  /**
   * It cannot be set by environment and configuration, and a flag cannot be negated with `--no-`.
   */
  readonly commandLineOnly?: true;
  /** Its name in the settings of a push. Absent: it concerns the command line alone. */
  readonly setting?: string;
  /** Its name in the limits of the source. */
  readonly limit?: keyof SourceLimitOptions;
  /** The value of a limit if its flag is given. Default true. */
  readonly limitWhenOn?: string;
}

/** Options by their keys, in the order of help. */
export type OptionTable = Readonly<Record<string, OptionSpec>>;

/** The attribute under which commander stores an option: `maxDelete` for `max_delete`. */
export type AttributeName<Key> = Key extends `${infer First}_${infer Rest}`
  ? `${First}${Capitalize<AttributeName<Rest>>}`
  : Key;

/** The runtime side of {@link AttributeName}. */
export function attributeName(key: string): string {
  return key.replace(/_([a-z])/g, (_whole, letter: string) => letter.toUpperCase());
}

type Parsed<Spec> = Spec extends { readonly parse: (text: string) => infer Value } ? Value : string;

/** The type of an option's value. */
type ValueOf<Spec> = Spec extends { readonly takes: infer Kind }
  ? Kind extends 'texts'
    ? readonly Parsed<Spec>[]
    : Parsed<Spec>
  : boolean;

type HasDefault<Spec> = Spec extends { readonly default: unknown } ? true : IsNegated<Spec>;
type IsNegated<Spec> = Spec extends { readonly flags: `--no-${string}` } ? true : false;
type IsAlwaysSet<Spec> = Spec extends { readonly takes: string } ? HasDefault<Spec> : true;

/** The options of a table as commander parses them. */
export type OptionsOf<Table extends OptionTable> = {
  readonly [
    Key in keyof Table as HasDefault<Table[Key]> extends true ? AttributeName<Key> : never
  ]: ValueOf<Table[Key]>;
} & {
  readonly [
    Key in keyof Table as HasDefault<Table[Key]> extends true ? never : AttributeName<Key>
  ]?: ValueOf<Table[Key]>;
};

type SettingName<Spec> = Spec extends { readonly setting: infer Name extends string }
  ? Name
  : never;

/** The options of a table as settings: flags and options with defaults are always present. */
export type SettingsOf<Table extends OptionTable> = {
  readonly [
    Key in keyof Table as IsAlwaysSet<Table[Key]> extends true ? SettingName<Table[Key]> : never
  ]: ValueOf<Table[Key]>;
} & {
  readonly [
    Key in keyof Table as IsAlwaysSet<Table[Key]> extends true ? never : SettingName<Table[Key]>
  ]?: ValueOf<Table[Key]>;
};

type LimitName<Spec> = Spec extends { readonly limit: infer Name extends string } ? Name : never;
type LimitValue<Spec> = Spec extends { readonly limitWhenOn: infer Value } ? Value : ValueOf<Spec>;

/** The limits of the source that the options of a table set. */
export type LimitsOf<Table extends OptionTable> = {
  readonly [Key in keyof Table as LimitName<Table[Key]>]?: LimitValue<Table[Key]>;
};

/** Keys of the options that environment and configuration can set. */
export type ConfigurableKey<Table extends OptionTable> = {
  [Key in keyof Table]: Table[Key] extends { readonly commandLineOnly: true } ? never : Key;
}[keyof Table];

/** A table without some of its options. */
export function tableWithout<Table extends OptionTable, Key extends keyof Table & string>(
  table: Table,
  keys: readonly Key[],
): Omit<Table, Key> {
  const rest: Record<string, unknown> = { ...table };
  for (const key of keys) Reflect.deleteProperty(rest, key);
  return rest as Omit<Table, Key>;
}

/** A flag that is on unless it is negated. */
export function isNegated({ flags }: OptionSpec): boolean {
  return flags.startsWith('--no-');
}

/** The value of an option that is not given. */
function defaultOf(spec: OptionSpec): unknown {
  return spec.takes === undefined ? isNegated(spec) : spec.default;
}

/** The settings from the options of a table, with defaults for those that are not given. */
export function settingsOf<Table extends OptionTable>(
  table: Table,
  options: Partial<OptionsOf<Table>>,
): SettingsOf<Table> {
  const given: Readonly<Record<string, unknown>> = options;
  const settings: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries(table)) {
    const value = given[attributeName(key)] ?? defaultOf(spec);
    if (spec.setting !== undefined && value !== undefined) settings[spec.setting] = value;
  }
  // This loop treats values as SettingsOf treats types.
  return settings as SettingsOf<Table>;
}

/** The limits of the source from the options of a table. Undefined if there are none. */
export function limitsOf<Table extends OptionTable>(
  table: Table,
  options: Partial<OptionsOf<Table>>,
): LimitsOf<Table> | undefined {
  const given: Readonly<Record<string, unknown>> = options;
  const limits: Record<string, unknown> = {};
  for (const [key, { limit, limitWhenOn }] of Object.entries(table)) {
    const value = given[attributeName(key)];
    const isNothing = value === undefined || value === false;
    if (limit === undefined || isNothing || (Array.isArray(value) && value.length === 0)) continue;
    limits[limit] = limitWhenOn ?? value;
  }
  // As above, for LimitsOf.
  return Object.keys(limits).length === 0 ? undefined : (limits as LimitsOf<Table>);
}
