// Runs the command line in a process of its own. Any program can use it, since it needs no test
// runner.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The Node that runs it; default the one running the tests. */
  readonly node?: string;
  /** Runs as this user (tests run as root). */
  readonly uid?: number;
  /** Standard input. Without it there is none. */
  readonly input?: string | Uint8Array;
  /** Called with the running process, to interrupt or kill it. */
  readonly onStart?: (child: ChildProcess) => void;
  /** Runs in a process of its own, for tests that examine the process. */
  readonly alone?: true;
}

/** Environment of a command: only what is needed to run. */
export function environment(
  extra: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', LC_ALL: 'C.UTF-8', ...extra };
}

/** Runs a program with our environment: no terminal, no standard input. */
export function runProgram(
  program: string,
  words: readonly string[],
  options: Omit<CliOptions, 'node'> = {},
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, {
      cwd: options.cwd ?? '/',
      env: environment(options.env),
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin?.on('error', () => undefined); // the command may end without reading it
    child.stdin?.end(options.input);
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({
        code,
        signal,
        stdout: Buffer.concat(stdout).toString('latin1'),
        stderr: Buffer.concat(stderr).toString('utf8'),
      }),
    );
    options.onStart?.(child);
  });
}

/** A temporary folder with a source, a password file and room for a copy. */
export interface Bench {
  readonly dir: string;
  readonly source: string;
  readonly copy: string;
  readonly passfile: string;
  readonly password: string;
  remove(): Promise<void>;
}

export async function makeBench(parent = tmpdir()): Promise<Bench> {
  const dir = await mkdtemp(path.join(parent, 'ecsync-e2e-'));
  const passfile = path.join(dir, 'passfile');
  const password = 'correct horse battery staple';
  await writeFile(passfile, `${password}\n`, { mode: 0o600 });
  return {
    dir,
    source: path.join(dir, 'source'),
    copy: path.join(dir, 'copy'),
    passfile,
    password,
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
