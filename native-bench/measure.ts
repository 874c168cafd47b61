import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** One timed run of a whole command. */
export interface Sample {
  readonly wallMs: number;
  /** Highest resident memory of the command's largest process, MiB; sampled. */
  readonly peakMiB: number;
  /** Bytes the client sent and received, where the tool tells. */
  readonly sentBytes?: number;
  readonly receivedBytes?: number;
}

const POLL_MS = 15;

/** `VmHWM` of a process: its peak resident memory so far, KiB; 0 when it is gone. */
function peakKiB(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  } catch {
    return 0; // it ended
  }
}

/** A process and its descendants. */
function family(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    return [pid, ...(children === '' ? [] : children.split(' ').flatMap((c) => family(Number(c))))];
  } catch {
    return [];
  }
}

/**
 * Runs a command to its end; throws when it fails, with what it said.
 *
 * @param silent - do not listen: for a command that leaves a file system process behind, which
 *   keeps the command's output open
 */
export function run(
  words: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  silent = false,
): Promise<{ stdout: string; wallMs: number; peakMiB: number }> {
  const [program = '', ...args] = words;
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const child = spawn(program, args, {
      env,
      stdio: silent ? 'ignore' : ['ignore', 'pipe', 'pipe'],
    });
    let peak = 0;
    const timer = setInterval(() => {
      if (child.pid === undefined) return;
      for (const pid of family(child.pid)) peak = Math.max(peak, peakKiB(pid));
    }, POLL_MS);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(timer);
      const wallMs = performance.now() - startedMs;
      const text = Buffer.concat(stdout).toString();
      if (code === 0) resolve({ stdout: text, wallMs, peakMiB: peak / 1024 });
      else
        reject(
          new Error(`${words.join(' ')} ended with ${code}: ${Buffer.concat(stderr).toString()}`),
        );
    });
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}
