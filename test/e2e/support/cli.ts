import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';

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
  /** Standard input; without it there is none. */
  readonly input?: string | Uint8Array;
  /** Called with the running process, to interrupt or kill it. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Environment of a command: nothing of ours but what is needed to run. */
function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: '/nonexistent', LC_ALL: 'C.UTF-8', ...extra };
}

/** Runs `ecsync` the way a scheduler does: no terminal, no standard input. */
export function ecsync(words: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(options.node ?? process.execPath, [inject('cliPath'), ...words], {
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

/** Makes the bench's source a vault with a cheap scrypt, so that tests do not wait for it. */
export async function initVault(bench: Bench): Promise<void> {
  const result = await ecsync([
    'init',
    bench.source,
    '--scryptn',
    '10',
    '--passfile',
    bench.passfile,
  ]);
  if (result.code !== 0) throw new Error(`init failed: ${result.stderr}`);
}

/** The last line of `--json` output. */
export interface JsonSummary {
  readonly type: 'summary';
  readonly exitCode: number;
  readonly filesTotal: number;
  readonly filesSent: number;
  readonly filesDeleted: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}

export function summaryOf(result: CliResult): JsonSummary {
  const last = result.stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(last) as JsonSummary;
}
