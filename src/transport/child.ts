/** Runs commands of this machine as connections. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { ConnectionError, RemoteError, UsageError, type EcsyncError } from '../errors.ts';
import { programFile } from '../programs.ts';
import { reasonOf } from '../system-errors.ts';
import {
  destroyStreams,
  endedLocally,
  relayInput,
  relayOutput,
  StderrTail,
} from './command-streams.ts';
import type { Connection, ExitStatus, Remote } from './connection.ts';

/** Time a process gets between SIGTERM and SIGKILL. */
const KILL_GRACE_MS = 2000;

/**
 * How long the end of a process's output is delayed to wait for the exit status, which may turn the
 * end into an error. The delay is bounded because a process may close its output and live on.
 */
const STATUS_GRACE_MS = 1000;

/** How {@link spawnConnection} names the process in messages and interprets its exit status. */
export interface SpawnOptions {
  /** For messages: `this machine`, `user@host`. */
  readonly shownName: string;
  /** Returns an error if the exit status means that the peer was never reached, or was lost. */
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
      return track(connection, running);
    },
    close: () => closeAll(running),
  };
}

/** Adds a connection to `running` and removes it when its command ends. */
export function track<C extends Connection>(connection: C, running: Set<Connection>): C {
  running.add(connection);
  const forget = (): void => {
    running.delete(connection);
  };
  connection.exited.then(forget, forget);
  return connection;
}

/** Ends all running commands and waits for them. */
export async function closeAll(running: ReadonlySet<Connection>): Promise<void> {
  const connections = [...running];
  for (const connection of connections) connection.destroy();
  await Promise.allSettled(connections.map((connection) => connection.exited));
}

/**
 * Runs a local process as a connection. Its environment has no passwords of ecsync.
 *
 * @throws {RemoteError} `program-missing`, `program-not-started`
 * @throws {UsageError} `word-invalid` — an argument contains a NUL
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
    return new RemoteError('program-missing', `${file}: this machine has no such program`, {
      hint: `Install ${file}, or give its full path.`,
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
  #isEndedLocally = false;

  constructor(child: ChildProcessWithoutNullStreams, options: SpawnOptions) {
    this.#child = child;
    this.#shownName = options.shownName;
    const input = relayInput(child.stdout, () => {
      // The input ends with the exit status below, or after this time.
      setTimeout(() => input.push(null), STATUS_GRACE_MS).unref();
    });
    this.input = input;
    this.output = relayOutput(
      child.stdin,
      (cause) =>
        new ConnectionError('command-ended', `${options.shownName}: the program has ended`, {
          hint: 'Run the same command again to continue.',
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
        const error = this.#isEndedLocally
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
    // An awaiting caller gets the error; without one it must not be an unhandled rejection.
    this.exited.catch(() => undefined);
  }

  stderrText(): string {
    return this.#stderr.text();
  }

  destroy(): void {
    this.#isEndedLocally ||= this.#child.exitCode === null && this.#child.signalCode === null;
    destroyStreams(this.input, this.output, endedLocally(this.#shownName));
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
