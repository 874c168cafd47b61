/** `[password]` of a vault's `config.toml`: the source of its password when nobody types it. */
import * as v from 'valibot';
import { command, flag, text } from './config-values.ts';

/** At most one of these is set. */
export interface PasswordTable {
  /** Relative to the folder of `config.toml`; `~/` is the home folder. */
  readonly file?: string | undefined;
  /** One string that is split as by a shell, or the words themselves. */
  readonly command?: string | readonly string[] | undefined;
  /** The system's keychain has it: see `ecsync key remember`. */
  readonly keychain?: boolean | undefined;
  /** Name of a file in `$CREDENTIALS_DIRECTORY`, which systemd creates for a service. */
  readonly credential?: string | undefined;
}

/** Keys of the table. */
export const PASSWORD_KEYS = ['file', 'command', 'keychain', 'credential'] as const;

/** The names that systemd accepts for a credential: plain file names. */
const credentialName = v.pipe(
  text,
  v.regex(/^(?!\.{1,2}$)[!-.0-~]{1,255}$/, 'must be the name of a credential, without a slash'),
);

export const passwordSchema: v.GenericSchema<unknown, PasswordTable> = v.pipe(
  v.strictObject(
    {
      file: v.optional(text),
      command,
      keychain: v.optional(flag),
      credential: v.optional(credentialName),
    },
    'must be a table: [password]',
  ),
  v.check(
    (password) => sourcesIn(password).length <= 1,
    'must have one of file, command, keychain and credential',
  ),
);

/** Keys of the table that name a source; `keychain = false` names none. */
export function sourcesIn(password: PasswordTable | undefined): readonly string[] {
  return PASSWORD_KEYS.filter((key) => {
    const value = password?.[key];
    return value !== undefined && value !== false;
  });
}
