/** The tables that a vault's `config.toml` and the machine-wide one have in common. */
import * as v from 'valibot';
import type { OptionSpec } from '../../options/option-table.ts';
import { PUSH_KEYS, PUSH_OPTIONS, type PushKey } from '../../options/push-options.ts';
import { command, flag, text } from './config-values.ts';

const amount = v.union([v.number(), text], 'must be a number, or a text in quotes');
const texts = v.union([text, v.array(text)], 'must be a text or a list of texts');

/** A value in TOML. */
export type PushValue = boolean | number | string | readonly string[];

/** `[push]`: defaults for the options of `push`. */
export type PushTable = Readonly<Partial<Record<PushKey, PushValue | undefined>>>;

const SCHEMA_OF = { flag, amount, text, texts } as const;

const pushEntries: Record<
  string,
  v.GenericSchema<unknown, PushValue | undefined>
> = Object.fromEntries(
  PUSH_KEYS.map((key) => {
    const { takes }: OptionSpec = PUSH_OPTIONS[key];
    return [key, v.optional(SCHEMA_OF[takes ?? 'flag'])];
  }),
);

export const pushSchema: v.GenericSchema<unknown, PushTable> = v.strictObject(
  pushEntries,
  'must be a table: [push]',
);

/**
 * `[hooks]`: programs that run around a push. One string that is split as by a shell, or its words.
 */
export interface HooksTable {
  readonly before?: string | readonly string[] | undefined;
  readonly after?: string | readonly string[] | undefined;
  readonly on_error?: string | readonly string[] | undefined;
}

const hooksSchema: v.GenericSchema<unknown, HooksTable> = v.strictObject(
  { before: command, after: command, on_error: command },
  'must be a table: [hooks]',
);

/** `[notify]`: who is notified of the result of a push. */
export interface NotifyTable {
  /** Address to request: itself on success, with `/start` and `/fail` appended. */
  readonly healthcheck?: string | undefined;
  /** Send it the error too, with names of files. */
  readonly healthcheck_log?: boolean | undefined;
  /** Show a message on the desktop when a push has failed. */
  readonly desktop?: boolean | undefined;
}

const notifySchema: v.GenericSchema<unknown, NotifyTable> = v.strictObject(
  {
    healthcheck: v.optional(
      v.pipe(text, v.regex(/^https?:\/\/[^\s]+$/, 'must be an address: https://…')),
    ),
    healthcheck_log: v.optional(flag),
    desktop: v.optional(flag),
  },
  'must be a table: [notify]',
);

/** `[status]` */
export interface StatusTable {
  /** Like `--max-age`. */
  readonly max_age?: string | undefined;
}

const statusSchema: v.GenericSchema<unknown, StatusTable> = v.strictObject(
  { max_age: v.optional(text) },
  'must be a table: [status]',
);

/** The tables that a vault and the machine-wide configuration have in common. */
export interface SharedTables {
  readonly push?: PushTable | undefined;
  readonly hooks?: HooksTable | undefined;
  readonly notify?: NotifyTable | undefined;
  readonly status?: StatusTable | undefined;
}

export const sharedEntries = {
  push: v.optional(pushSchema),
  hooks: v.optional(hooksSchema),
  notify: v.optional(notifySchema),
  status: v.optional(statusSchema),
};

/** Keys of the shared tables, for suggestions. */
export const SHARED_KEYS: Readonly<Record<string, readonly string[]>> = {
  push: PUSH_KEYS,
  hooks: ['before', 'after', 'on_error'],
  notify: ['healthcheck', 'healthcheck_log', 'desktop'],
  status: ['max_age'],
};
