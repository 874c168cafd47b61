/** Runs commands through the system's ssh or another remote shell. */
import { ConnectionError, LoginError, UsageError, type EcsyncError } from '../../errors.ts';
import { tooManyKeysHint } from './auth.ts';
import { isWindows } from '../../platform.ts';
import { closeAll, spawnConnection, track } from '../child.ts';
import type { Connection, ExitStatus, Remote } from '../connection.ts';
import { remoteCommandLine, splitWords } from '../quote.ts';
import { algorithmsMismatch } from './mismatch.ts';
import { assertTarget, type SshTarget } from '../ssh-target.ts';

/** Exit code of ssh and plink for their own failures; rsync never uses it. */
const SSH_FAILED = 255;

/**
 * Runs commands through a program of the user's choice (`--rsh`), with one login for each command.
 *
 * The program and its own arguments come first, then `-l user`, then the host and one remote
 * command line. The port and the option against questions are added only for known programs. A
 * failed login is reported by `exited`, `input` and `output`, not by `start()`.
 *
 * @param rsh - `ssh -i key`, split as by a shell (no shell is run), or the words themselves
 * @param options - `interactive`: a person is present, so ssh may ask on the terminal
 * @throws {UsageError} `command-invalid`, `host-invalid`, `user-invalid`, `port-invalid`,
 *   `rsh-port` — how to pass a port to this program is unknown
 */
export function systemSsh(
  rsh: string | readonly [string, ...string[]],
  target: SshTarget,
  options: { interactive: boolean },
): Remote {
  assertTarget(target);
  const login = loginArgs(rsh, target, options.interactive);
  const supportsSubsystems = kindOf(login[0]) === 'ssh';
  const running = new Set<Connection>();
  const shownName = target.user === undefined ? target.host : `${target.user}@${target.host}`;
  const run = async (argv: [string, ...string[]]): Promise<Connection> => {
    const connection = await spawnConnection(argv, {
      shownName,
      explainExit: (status, stderr) => explainExit(shownName, status, stderr),
    });
    return track(connection, running);
  };
  return {
    shownName,
    start: (program, words) => run([...login, remoteCommandLine(program, words)]),
    ...(supportsSubsystems && {
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

function loginArgs(
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
  const batchOptions = { ssh: ['-o', 'BatchMode=yes'], plink: ['-batch'] }[kind ?? ''] ?? [];
  return [program, ...own, ...(interactive ? [] : batchOptions), ...user, ...port, target.host];
}

interface Symptom {
  /** Matches the line to quote. */
  readonly pattern: RegExp;
  /** Must match another line too, since text of the remote side may look like the first. */
  readonly alsoPattern?: RegExp;
  readonly toError: (shownName: string, line: string) => EcsyncError;
}

/** The messages of OpenSSH and plink when they fail, the most specific first. */
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
    alsoPattern: /terminating, \d+ bad configuration option/,
    toError: wrongConfig,
  },
  { pattern: /^Bad owner or permissions on |^Can't open user config file /, toError: wrongConfig },
  {
    pattern: /\b(?:not found|No such file or directory|Permission denied)$/,
    alsoPattern: /closed by UNKNOWN port 65535/,
    toError: (name, line) =>
      new UsageError('proxy-command-failed', `${name}: its ProxyCommand cannot be run: ${line}`, {
        hint: 'Correct ProxyCommand in ~/.ssh/config, or install that program.',
      }),
  },
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|POTENTIAL SECURITY BREACH/,
    toError: (name) =>
      new LoginError('host-key-changed', `${name}: the server's host key has changed`, {
        hint: 'Ask the server’s operator whether this is right before you remove the old key from known_hosts.',
      }),
  },
  {
    pattern: /Host key verification failed|No .* host key is known|host key is not cached/,
    toError: (name) =>
      new LoginError('host-key-unknown', `${name}: the server's host key is not known`, {
        hint: `Run \`ssh ${name}\` once, and compare the fingerprint before you accept the key.`,
      }),
  },
  {
    pattern: /Too many authentication failures/,
    toError: (name, line) =>
      new LoginError('login-refused', `${name}: the server refused the login: ${line}`, {
        hint: tooManyKeysHint(name),
      }),
  },
  {
    pattern: /Permission denied|No supported authentication/,
    toError: (name, line) =>
      new LoginError('login-refused', `${name}: the server refused the login: ${line}`, {
        hint: `Check that \`ssh ${name}\` works without questions.`,
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
      hint: `Correct it; \`ssh ${shownName}\` reports the same error.`,
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
  for (const { pattern, alsoPattern, toError } of SYMPTOMS) {
    if (alsoPattern !== undefined && !lines.some((text) => alsoPattern.test(text))) continue;
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
