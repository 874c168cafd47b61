/** Explains why a daemon refused. */
import { ConnectionError, LoginError, RemoteError, type EcsyncError } from '../../errors.ts';

interface KnownRefusal {
  readonly words: RegExp;
  readonly make: (shownName: string, said: string) => EcsyncError;
}

/** Text of a refusal that is quoted. */
const LENGTH_SHOWN = 500;

/** What a daemon says instead of OK, as rsync's clientserver.c words it (2.6.9 … 3.5.0). */
const REFUSALS: readonly KnownRefusal[] = [
  {
    words: /Unknown module/i,
    make: (name, said) =>
      new RemoteError('module-unknown', `${name}: the daemon has no such module (${said})`, {
        hint: 'Check its name; `rsync rsync://HOST/` lists those that may be seen.',
      }),
  },
  {
    words: /auth(?:entication)? failed/i,
    make: (name, said) =>
      new LoginError('login-refused', `${name}: the daemon refused the login (${said})`, {
        hint: "Check the user before the @ and the daemon's password: it is not the vault's.",
      }),
  },
  {
    words: /access denied/i,
    make: (name, said) =>
      new RemoteError('daemon-refused', `${name}: the daemon lets this machine not in (${said})`, {
        hint: "Allow this machine's address there (`hosts allow` in rsyncd.conf).",
      }),
  },
  {
    words: /max connections/i,
    make: (name, said) =>
      new ConnectionError(
        'daemon-busy',
        `${name}: the daemon takes no more connections (${said})`,
        {
          hint: 'Run again later, or raise `max connections` in rsyncd.conf.',
        },
      ),
  },
  {
    words: /chdir failed|chroot failed|no path setting/i,
    make: (name, said) =>
      new RemoteError('daemon-refused', `${name}: the module has no usable folder (${said})`, {
        hint: 'Check `path` in rsyncd.conf, and that the folder is there.',
      }),
  },
];

/**
 * Why a daemon refused.
 *
 * @param line - what came, `@ERROR: text` or `@ERROR text`; untrusted
 */
export function explainRefusal(shownName: string, line: string): EcsyncError {
  const said = line.replace(/^@ERROR:?\s*/, '').slice(0, LENGTH_SHOWN);
  const known = REFUSALS.find(({ words }) => words.test(said));
  if (known !== undefined) return known.make(shownName, said);
  return new RemoteError('daemon-refused', `${shownName}: the daemon refused (${said})`, {
    hint: "Look into the daemon's log.",
  });
}

/** True when another attempt a moment later may succeed. */
export function isBusy(error: unknown): boolean {
  return error instanceof ConnectionError && error.code === 'daemon-busy';
}
