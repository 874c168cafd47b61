/** The tables that both a vault's `config.toml` and the machine-wide one may have. */
import * as v from 'valibot';
import { command, flag, text } from './config-values.ts';

const amount = v.union([v.number(), text], 'must be a number, or a text in quotes');
const texts = v.union([text, v.array(text)], 'must be a text or a list of texts');

/** What kind of value a key of `[push]` has. `amount`: a number, or a text such as `"10%"`. */
export type PushKeyKind = 'flag' | 'amount' | 'text' | 'texts';

/** Every key of `[push]`; each is the option of `push` of that name, with dashes. */
export const PUSH_KEYS = {
  filter: 'texts',
  include: 'texts',
  exclude: 'texts',
  exclude_from: 'texts',
  presets: 'texts',
  ignore_files: 'flag',
  exclude_caches: 'flag',
  exclude_if_present: 'texts',
  one_file_system: 'flag',
  max_size: 'amount',
  min_size: 'amount',
  max_age: 'text',
  min_age: 'text',
  delete: 'flag',
  delete_excluded: 'flag',
  max_delete: 'amount',
  max_changed: 'amount',
  append_only: 'flag',
  keep: 'texts',
  max_bytes: 'amount',
  top: 'amount',
  checksum: 'flag',
  hard_links: 'flag',
  xattrs: 'flag',
  numeric_ids: 'flag',
  owner: 'flag',
  group: 'flag',
  perms: 'flag',
  devices: 'flag',
  specials: 'flag',
  block_size: 'amount',
  bwlimit: 'amount',
  timeout: 'amount',
  max_time: 'text',
  retries: 'amount',
  wait_online: 'amount',
  skip_on_battery: 'flag',
  skip_on_metered: 'flag',
  low_priority: 'flag',
  rsh: 'text',
  rsync_path: 'text',
  protocol: 'amount',
} as const satisfies Readonly<Record<string, PushKeyKind>>;

/** A key of `[push]`. */
export type PushKey = keyof typeof PUSH_KEYS;

/** A value as TOML has it. */
export type PushValue = boolean | number | string | readonly string[];

/** `[push]`: what options of `push` are when the command line does not say. */
export type PushTable = Readonly<Partial<Record<PushKey, PushValue | undefined>>>;

/** True for a key of `[push]`. */
export function isPushKey(key: string): key is PushKey {
  return Object.hasOwn(PUSH_KEYS, key);
}

const SCHEMA_OF = { flag, amount, text, texts } as const;

const pushEntries: Record<
  string,
  v.GenericSchema<unknown, PushValue | undefined>
> = Object.fromEntries(
  Object.entries(PUSH_KEYS).map(([key, kind]) => [key, v.optional(SCHEMA_OF[kind])]),
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
  push: Object.keys(PUSH_KEYS),
  hooks: ['before', 'after', 'on_error'],
  notify: ['healthcheck', 'healthcheck_log', 'desktop'],
  status: ['max_age'],
};
