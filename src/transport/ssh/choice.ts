/** Chooses between the built-in ssh and the system's. */
import { UsageError } from '../../errors.ts';

/** What a destination needs that decides between the built-in ssh and the system's. */
export interface SshNeeds {
  /** Needs that the built-in ssh does not support, by their display names: `ProxyCommand`, … */
  readonly unsupported: readonly string[];
  /** Optional needs that the system's ssh handles better, such as a host certificate. */
  readonly preferSystem: readonly string[];
  /** Login methods that only the system's ssh has: security keys, certificates, Kerberos. */
  readonly systemOnlyMethods: readonly string[];
  /** True if the built-in ssh has a key to offer. */
  readonly hasKeys: boolean;
  /** The system's ssh program, if there is one. */
  readonly systemSsh: string | undefined;
}

/** Use of the system's ssh instead of the built-in one. */
export interface Fallback {
  readonly program: string;
  readonly why: string;
}

/** Which ssh is used, and why. */
export type SshChoice =
  | {
      readonly use: 'builtin';
      /** Used if the server refuses the login. */
      readonly fallback?: Fallback;
    }
  | (Fallback & { readonly use: 'system' })
  | { readonly use: 'none'; readonly missing: string };

/**
 * Chooses between the built-in ssh and the system's. The built-in one is used unless it lacks what
 * the destination needs. A login method that only the system's ssh has is tried after the built-in
 * ssh's keys, or at once if it has none.
 */
export function chooseSsh(needs: SshNeeds): SshChoice {
  const { unsupported, preferSystem, systemOnlyMethods, hasKeys, systemSsh: program } = needs;
  if (program === undefined) {
    return unsupported.length > 0
      ? { use: 'none', missing: joinReasons(unsupported) }
      : { use: 'builtin' };
  }
  const reasons = [...unsupported, ...preferSystem, ...(hasKeys ? [] : systemOnlyMethods)];
  if (reasons.length > 0) return { use: 'system', program, why: joinReasons(reasons) };
  if (systemOnlyMethods.length === 0) return { use: 'builtin' };
  return { use: 'builtin', fallback: { program, why: joinReasons(systemOnlyMethods) } };
}

/** The error of a destination that the built-in ssh cannot serve. */
export function unsupportedConfig(missing: string): UsageError {
  return new UsageError(
    'ssh-config-unsupported',
    `this host needs ${missing}, which the built-in ssh does not support`,
    { hint: 'Install OpenSSH, or name another program with `--rsh`.' },
  );
}

/** Joins reasons into one phrase without repetition. */
export function joinReasons(reasons: readonly string[]): string {
  return [...new Set(reasons)].join(', ');
}
