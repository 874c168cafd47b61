/** Commands of this machine as connections. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { ConnectionError, RemoteError, UsageError, type EcsyncError } from '../errors.ts';
import { programFile } from '../programs.ts';
import { reasonOf } from '../system-words.ts';
import {
  destroyStreams,
  endedHere,
  relayInput,
  relayOutput,
  StderrTail,
} from './command-streams.ts';
import type { Connection, ExitStatus, Remote } from './connection.ts';

/** Time a process gets between SIGTERM and SIGKILL. */
const KILL_GRACE_MS = 2000;

/**
 * How long the end of a process's output waits for its exit status, which may turn the end into an
 * error. A process that closes its output and lives on is not waited for longer.
 */
const STATUS_GRACE_MS = 1000;

/** How {@link spawnConnection} speaks about the process, and what its end means. */
export interface SpawnOptions {
  /** For messages: `this machine`, `user@host`. */
  readonly shownName: string;
  /** An error when this end means that the peer was never reached, or was lost. */
  readonly explainExit?: (status: ExitStatus, stderr: string) => EcsyncError | undefined;
}

/** This machine: runs commands as child processes, without a shell. */
export function localCommands(): Remote {
  const running = new Set<Connection>();
  const shownName = 'this machine';
  return {
    shownName,
    async start(program, words) {
      const [file, ...args] = program.split(' ').filter((word) => word !== '');
      if (file === undefined) throw new UsageError('command-invalid', 'the command is empty');
      const connection = await spawnConnection([file, ...args, ...words], { shownName });
      return tracked(connection, running);
    },
    close: () => closeAll(running),
  };
}

/** Remembers a running connection until it ended. */
export function tracked<C extends Connection>(connection: C, running: Set<Connection>): C {
  running.add(connection);
  const forget = (): void => {
    running.delete(connection);
  };
  connection.exited.then(forget, forget);
  return connection;
}

/** Ends all commands that still run, and waits for them. */
export async function closeAll(running: ReadonlySet<Connection>): Promise<void> {
  const connections = [...running];
  for (const connection of connections) connection.destroy();
  await Promise.allSettled(connections.map((connection) => connection.exited));
}

/**
 * A local process as a connection. Passwords of ecsync are not in its environment.
 *
 * @throws {RemoteError} `program-missing`, `program-not-started`
 * @throws {UsageError} `word-invalid` — a NUL in a word
 */
export async function spawnConnection(
  argv: readonly [string, ...string[]],
  options: SpawnOptions,
): Promise<Connection> {
  const [file, ...args] = argv;
  if (argv.some((word) => word.includes('\0'))) {
    throw new UsageError('word-invalid', `a NUL cannot be part of a command: ${file}`);
  }
  const child = spawn(programFile(file), args, { env: cleanEnvironment(), windowsHide: true });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      reject(startFailure(file, error));
    });
  });
  return new ChildConnection(child, options);
}

/** The environment without ecsync's secrets (`ECSYNC_PASSWORD`, `…_FILE`, `…_COMMAND`). */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !name.toUpperCase().startsWith('ECSYNC_PASSWORD'),
    ),
  );
}

function startFailure(file: string, error: Error & { code?: string }): RemoteError {
  if (error.code === 'ENOENT') {
    return new RemoteError('program-missing', `${file}: there is no such program here`, {
      hint: `Install ${file}, or name it with its full path.`,
      cause: error,
    });
  }
  return new RemoteError(
    'program-not-started',
    `${file}: could not be started: ${reasonOf(error)}`,
    {
      cause: error,
    },
  );
}

class ChildConnection implements Connection {
  readonly input;
  readonly output;
  readonly exited: Promise<ExitStatus>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #stderr = new StderrTail();
  readonly #shownName: string;
  #endedHere = false;

  constructor(child: ChildProcessWithoutNullStreams, options: SpawnOptions) {
    this.#child = child;
    this.#shownName = options.shownName;
    const input = relayInput(child.stdout, () => {
      // Whichever comes first: the status below, or the end of patience.
      setTimeout(() => input.push(null), STATUS_GRACE_MS).unref();
    });
    this.input = input;
    this.output = relayOutput(
      child.stdin,
      (cause) =>
        new ConnectionError('command-ended', `${options.shownName}: the program has ended`, {
          cause,
        }),
    );
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr.add(chunk);
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('error', () => undefined);
    input.once('close', () => {
      if (!input.readableEnded) this.destroy();
    });
    this.exited = new Promise((resolve, reject) => {
      child.once('close', (code, signal) => {
        const status = { code, signal };
        const error = this.#endedHere
          ? undefined
          : options.explainExit?.(status, this.#stderr.text());
        if (error === undefined) {
          if (!input.destroyed) input.push(null);
          resolve(status);
        } else {
          destroyStreams(this.input, this.output, error);
          reject(error);
        }
      });
    });
    // Who awaits it gets the error; who does not must not be ended by it.
    this.exited.catch(() => undefined);
  }

  stderrText(): string {
    return this.#stderr.text();
  }

  destroy(): void {
    this.#endedHere ||= this.#child.exitCode === null && this.#child.signalCode === null;
    destroyStreams(this.input, this.output, endedHere(this.#shownName));
    const child = this.#child;
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    if (child.exitCode !== null || child.signalCode !== null || child.killed) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS).unref();
    child.once('exit', () => {
      clearTimeout(timer);
    });
  }
}
