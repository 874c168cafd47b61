/** Runs commands through the system's ssh or another remote shell. */
import { ConnectionError, LoginError, UsageError, type EcsyncError } from '../../errors.ts';
import { nameTheKey } from './auth.ts';
import { isWindows } from '../../platform.ts';
import { closeAll, spawnConnection, tracked } from '../child.ts';
import type { Connection, ExitStatus, Remote } from '../connection.ts';
import { remoteCommandLine, splitWords } from '../quote.ts';
import { algorithmsMismatch } from './mismatch.ts';
import { assertTarget, type SshTarget } from '../ssh-target.ts';

/** ssh and plink end with this when they failed themselves; rsync never does. */
const SSH_FAILED = 255;

/**
 * Runs commands through a program of the user's choice (`--rsh`), one login for each.
 *
 * The program's words come first; `-l user`, the port and what keeps it from asking are added only
 * where the program is known to understand them, and then the host and one remote command line. Its
 * failure to log in is reported by `exited`, and by `input` and `output`, not by `start()`.
 *
 * @param rsh - `ssh -i key`, split as a shell would (no shell runs), or the words themselves
 * @param options - `interactive`: a person is there, so ssh may ask on the terminal
 * @throws {UsageError} `command-invalid`, `host-invalid`, `user-invalid`, `port-invalid`,
 *   `rsh-port` — this program cannot be told a port
 */
export function systemSsh(
  rsh: string | readonly [string, ...string[]],
  target: SshTarget,
  options: { interactive: boolean },
): Remote {
  assertTarget(target);
  const login = loginWords(rsh, target, options.interactive);
  const knowsSubsystems = kindOf(login[0]) === 'ssh';
  const running = new Set<Connection>();
  const shownName = target.user === undefined ? target.host : `${target.user}@${target.host}`;
  const run = async (argv: [string, ...string[]]): Promise<Connection> => {
    const connection = await spawnConnection(argv, {
      shownName,
      explainExit: (status, stderr) => explainExit(shownName, status, stderr),
    });
    return tracked(connection, running);
  };
  return {
    shownName,
    start: (program, words) => run([...login, remoteCommandLine(program, words)]),
    ...(knowsSubsystems && {
      startSubsystem: (name: string) => {
        const [file, ...words] = login;
        return run([file, '-s', ...words, name]);
      },
    }),
    close: () => closeAll(running),
  };
}

function kindOf(program: string): string | undefined {
  return /(?:^|[/\\])(ssh|plink)(?:\.exe)?$/i.exec(program)?.[1]?.toLowerCase();
}

function loginWords(
  rsh: string | readonly [string, ...string[]],
  target: SshTarget,
  interactive: boolean,
): [string, ...string[]] {
  const [program, ...own] = typeof rsh === 'string' ? splitWords(rsh, !isWindows) : rsh;
  const kind = kindOf(program);
  if (target.port !== undefined && kind === undefined) {
    throw new UsageError('rsh-port', `a port cannot be passed on to ${program}`, {
      hint: 'Put the port into the --rsh command, and leave it out of the address.',
    });
  }
  const user = target.user === undefined ? [] : ['-l', target.user];
  const port = target.port === undefined ? [] : [kind === 'plink' ? '-P' : '-p', `${target.port}`];
  const silence = { ssh: ['-o', 'BatchMode=yes'], plink: ['-batch'] }[kind ?? ''] ?? [];
  return [program, ...own, ...(interactive ? [] : silence), ...user, ...port, target.host];
}

interface Symptom {
  /** In the line that is quoted. */
  readonly pattern: RegExp;
  /** In a line that has to be there, too: what the remote side says may look like the first. */
  readonly beside?: RegExp;
  readonly toError: (shownName: string, line: string) => EcsyncError;
}

/** What ssh says when it fails, most telling first; the texts are OpenSSH's and plink's. */
const SYMPTOMS: readonly Symptom[] = [
  {
    pattern: /no matching .* found\. Their offer: /,
    toError: (name, line) => {
      const [, failure = '', theirs] =
        /no matching (.*) found\. Their offer: (.*)/.exec(line) ?? [];
      return algorithmsMismatch(name, failure, { theirs });
    },
  },
  {
    pattern: / line \d+: /,
    beside: /terminating, \d+ bad configuration option/,
    toError: wrongConfig,
  },
  { pattern: /^Bad owner or permissions on |^Can't open user config file /, toError: wrongConfig },
  {
    pattern: /\b(?:not found|No such file or directory|Permission denied)$/,
    beside: /closed by UNKNOWN port 65535/,
    toError: (name, line) =>
      new UsageError('proxy-command-failed', `${name}: its ProxyCommand cannot be run: ${line}`, {
        hint: 'Correct ProxyCommand in ~/.ssh/config, or install that program.',
      }),
  },
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|POTENTIAL SECURITY BREACH/,
    toError: (name) =>
      new LoginError('host-key-changed', `${name}: the server's host key has changed`, {
        hint: 'Ask who runs the server whether that is right, before you remove the old key from known_hosts.',
      }),
  },
  {
    pattern: /Host key verification failed|No .* host key is known|host key is not cached/,
    toError: (name) =>
      new LoginError('host-key-unknown', `${name}: the server's host key is not known`, {
        hint: `Run \`ssh ${name}\` once, and compare the fingerprint before you accept it.`,
      }),
  },
  {
    pattern: /Too many authentication failures/,
    toError: (name, line) =>
      new LoginError('login-refused', `${name}: the server refused the login: ${line}`, {
        hint: nameTheKey(name),
      }),
  },
  {
    pattern: /Permission denied|No supported authentication/,
    toError: (name, line) =>
      new LoginError('login-refused', `${name}: the server refused the login: ${line}`, {
        hint: `Check that \`ssh ${name}\` works without a question.`,
      }),
  },
  {
    pattern:
      /Could not resolve hostname|Connection refused|timed out|No route to host|Network is unreachable|Name or service not known/,
    toError: (name, line) =>
      new ConnectionError('connect-failed', `${name}: cannot be reached: ${line}`, {
        hint: 'Check the name and the port, and that the server is up.',
      }),
  },
];

function wrongConfig(shownName: string, line: string): UsageError {
  return new UsageError(
    'ssh-config-invalid',
    `${shownName}: ssh refuses its configuration: ${line}`,
    {
      hint: `Correct it; \`ssh ${shownName}\` says the same.`,
    },
  );
}

function explainExit(
  shownName: string,
  status: ExitStatus,
  stderr: string,
): EcsyncError | undefined {
  if (status.code !== SSH_FAILED && status.code !== null) return undefined;
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  for (const { pattern, beside, toError } of SYMPTOMS) {
    if (beside !== undefined && !lines.some((text) => beside.test(text))) continue;
    const line = lines.find((text) => pattern.test(text));
    if (line !== undefined) return toError(shownName, line.trim());
  }
  const last = lines.at(-1)?.trim() ?? (status.signal === null ? '' : `ended by ${status.signal}`);
  return new ConnectionError(
    'connection-lost',
    `${shownName}: the connection was lost${last === '' ? '' : `: ${last}`}`,
    { hint: 'Run again to continue.' },
  );
}
