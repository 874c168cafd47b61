/** Remembers a person's answers to the questions of a login for later logins. */
import type { ParsedKey } from 'ssh2';

/** The answers for one destination, so that a second login does not ask again. */
export class LoginMemory {
  /** Keyed by the path of the key file. */
  readonly unlockedKeys = new Map<string, ParsedKey>();
  /** The last password, keyed by `user@host`. */
  readonly passwords = new Map<string, string>();
}
