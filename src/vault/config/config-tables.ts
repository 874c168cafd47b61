/** The tables that both a vault's `config.toml` and the machine-wide one may have. */
import * as v from 'valibot';
import type { OptionSpec } from '../../options/option-table.ts';
import { PUSH_KEYS, PUSH_OPTIONS, type PushKey } from '../../options/push-options.ts';
import { command, flag, text } from './config-values.ts';

const amount = v.union([v.number(), text], 'must be a number, or a text in quotes');
const texts = v.union([text, v.array(text)], 'must be a text or a list of texts');

/** A value as TOML has it. */
export type PushValue = boolean | number | string | readonly string[];

/** `[push]`: what options of `push` are when the command line does not say. */
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

/** `[hooks]`: programs that run around a push. One text that is split as a shell would, or words. */
export interface HooksTable {
  readonly before?: string | readonly string[] | undefined;
  readonly after?: string | readonly string[] | undefined;
  readonly on_error?: string | readonly string[] | undefined;
}

export const hooksSchema: v.GenericSchema<unknown, HooksTable> = v.strictObject(
  { before: command, after: command, on_error: command },
  'must be a table: [hooks]',
);

/** `[notify]`: who is told how a push ended. */
export interface NotifyTable {
  /** Address that is asked for: itself on success, with `/start` and `/fail` behind it. */
  readonly healthcheck?: string | undefined;
  /** It is also told what went wrong, with names of files. */
  readonly healthcheck_log?: boolean | undefined;
  /** A message on the desktop when a push failed. */
  readonly desktop?: boolean | undefined;
}

export const notifySchema: v.GenericSchema<unknown, NotifyTable> = v.strictObject(
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
  /** As `--max-age`. */
  readonly max_age?: string | undefined;
}

export const statusSchema: v.GenericSchema<unknown, StatusTable> = v.strictObject(
  { max_age: v.optional(text) },
  'must be a table: [status]',
);

/** The tables that a vault and a machine share. */
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
