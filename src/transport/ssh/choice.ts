/** Chooses between the built-in ssh and the system's. */
import { UsageError } from '../../errors.ts';

/** What a destination needs, as far as it decides between the built-in ssh and the system's. */
export interface SshNeeds {
  /** What the built-in ssh cannot do at all, as a person would name it: `ProxyCommand`, … */
  readonly beyondUs: readonly string[];
  /** What the system's ssh does better, but is not needed: a certificate beside a known host key. */
  readonly better: readonly string[];
  /** Ways to log in that only the system's ssh has: security keys, certificates, Kerberos. */
  readonly foreignWays: readonly string[];
  /** True when the built-in ssh has a key to offer. */
  readonly hasKeys: boolean;
  /** The system's ssh program, if there is one. */
  readonly systemSsh: string | undefined;
}

/** The system's ssh instead of the built-in one. */
export interface StandIn {
  readonly program: string;
  readonly why: string;
}

/** Which ssh is used, and why. */
export type SshChoice =
  | {
      readonly use: 'builtin';
      /** When the server refuses the login. */
      readonly otherwise?: StandIn;
    }
  | (StandIn & { readonly use: 'system' })
  | { readonly use: 'none'; readonly missing: string };

/**
 * Chooses between the built-in ssh and the system's: the built-in one unless the destination needs
 * what it does not have. A login way that only the system's ssh has is tried after the keys the
 * built-in one has, or at once when it has none.
 */
export function chooseSsh(needs: SshNeeds): SshChoice {
  const { beyondUs, better, foreignWays, hasKeys, systemSsh: program } = needs;
  if (program === undefined) {
    return beyondUs.length > 0 ? { use: 'none', missing: listed(beyondUs) } : { use: 'builtin' };
  }
  const reasons = [...beyondUs, ...better, ...(hasKeys ? [] : foreignWays)];
  if (reasons.length > 0) return { use: 'system', program, why: listed(reasons) };
  if (foreignWays.length === 0) return { use: 'builtin' };
  return { use: 'builtin', otherwise: { program, why: listed(foreignWays) } };
}

/** The error of a destination that the built-in ssh cannot serve. */
export function unsupportedConfig(missing: string): UsageError {
  return new UsageError(
    'ssh-config-unsupported',
    `this host needs ${missing}, which the built-in ssh does not have`,
    { hint: 'Install OpenSSH, or name another program with `--rsh`.' },
  );
}

/** Reasons in one phrase, each once. */
export function listed(reasons: readonly string[]): string {
  return [...new Set(reasons)].join(', ');
}
