/** Turns a daemon's refusal into a typed error. */
import { ConnectionError, LoginError, RemoteError, type EcsyncError } from '../../errors.ts';

interface KnownRefusal {
  readonly pattern: RegExp;
  readonly make: (shownName: string, text: string) => EcsyncError;
}

/** Length of the quoted text of a refusal. */
const LENGTH_SHOWN = 500;

/** The messages of a daemon instead of OK, as in rsync's clientserver.c (2.6.9 … 3.5.0). */
const REFUSALS: readonly KnownRefusal[] = [
  {
    pattern: /Unknown module/i,
    make: (name, text) =>
      new RemoteError('module-unknown', `${name}: the daemon has no such module (${text})`, {
        hint: 'Check its name; `rsync rsync://HOST/` lists the visible modules.',
      }),
  },
  {
    pattern: /auth(?:entication)? failed/i,
    make: (name, text) =>
      new LoginError('login-refused', `${name}: the daemon refused the login (${text})`, {
        hint: "Check the user before the @, and the daemon's password, which is not the vault's.",
      }),
  },
  {
    pattern: /access denied/i,
    make: (name, text) =>
      new RemoteError(
        'daemon-refused',
        `${name}: the daemon does not admit this machine (${text})`,
        {
          hint: "Allow this machine's address there (`hosts allow` in rsyncd.conf).",
        },
      ),
  },
  {
    pattern: /max connections/i,
    make: (name, text) =>
      new ConnectionError(
        'daemon-busy',
        `${name}: the daemon accepts no more connections (${text})`,
        {
          hint: 'Run again later, or raise `max connections` in rsyncd.conf.',
        },
      ),
  },
  {
    pattern: /chdir failed|chroot failed|no path setting/i,
    make: (name, text) =>
      new RemoteError('daemon-refused', `${name}: the module has no usable folder (${text})`, {
        hint: 'Check `path` in rsyncd.conf, and that the folder exists.',
      }),
  },
];

/**
 * The error for a refusal.
 *
 * @param line - the daemon's line, `@ERROR: text` or `@ERROR text`; untrusted
 */
export function explainRefusal(shownName: string, line: string): EcsyncError {
  const text = line.replace(/^@ERROR:?\s*/, '').slice(0, LENGTH_SHOWN);
  const known = REFUSALS.find(({ pattern }) => pattern.test(text));
  if (known !== undefined) return known.make(shownName, text);
  return new RemoteError('daemon-refused', `${shownName}: the daemon refused (${text})`, {
    hint: "Read the daemon's log.",
  });
}

/** True if another attempt a moment later may succeed. */
export function isBusy(error: unknown): boolean {
  return error instanceof ConnectionError && error.code === 'daemon-busy';
}
