/** The answers of a person to the questions of a login, kept for the next login. */
import type { ParsedKey } from 'ssh2';

/** What a person answered for one destination, so that a second login does not ask again. */
export class LoginMemory {
  /** By the name of the key file. */
  readonly unlockedKeys = new Map<string, ParsedKey>();
  /** The last password given, by `user@host`. */
  readonly passwords = new Map<string, string>();
}
