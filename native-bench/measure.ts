import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { performance } from 'node:perf_hooks';

/** One timed run of a whole command. */
export interface Sample {
  readonly wallMs: number;
  /** Highest resident memory of the command's largest process, MiB; sampled. */
  readonly peakMiB: number;
  /** User and system time of the client's processes, without the server's. */
  readonly cpuMs: number;
  /** Bytes the client sent and received, where the tool tells. */
  readonly sentBytes?: number;
  readonly receivedBytes?: number;
}

const MIB = 1024 * 1024;
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

/** Clock ticks a second in `/proc`; the same on all of Linux. */
const TICKS = 100;

/** Processor time so far of the running processes whose command line has all of these words. */
export function cpuMsOf(words: readonly string[]): number {
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
      if (!words.every((word) => command.includes(word))) continue;
      // Behind the name, which may hold anything: field 3 is the first, 14 and 15 are the times.
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      ticks += Number(stat[11]) + Number(stat[12]);
    } catch {
      // It ended in between.
    }
  }
  return (ticks * 1000) / TICKS;
}

/** More than any workload touches: what it reads, what it stores, and one copy more. */
const WARMED_MIB = 4096;
const PART_MIB = 512;

/**
 * Has the system find memory for more than any contender will use, or half of what is free. A virtual
 * machine whose host takes free memory back pays for each page that is touched again (2.2 s per GiB
 * were seen), and whoever comes first would pay for all.
 */
export function warmMemory(): void {
  const parts = Math.floor(Math.min(WARMED_MIB, freemem() / MIB / 2) / PART_MIB);
  const script = `for (let i = 0; i < ${parts}; i++) globalThis[i] = Buffer.alloc(${PART_MIB * MIB}, 1);`;
  execFileSync(process.execPath, ['-e', script]);
}

/** Bytes over the loopback interface so far, both ways, headers included. */
export function wireBytes(): number {
  return Number(readFileSync('/sys/class/net/lo/statistics/tx_bytes', 'latin1'));
}

/** A command took longer than its limit. */
export class TooSlow extends Error {}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /**
   * Do not listen: for a command that leaves a file system process behind, which keeps the
   * command's output open. Its processor time is not known then.
   */
  readonly silent?: boolean;
  /** Kills it after so long. */
  readonly limitMs?: number;
}

/**
 * Runs a command to its end.
 *
 * @throws {TooSlow} over the limit
 * @throws {Error} when it fails, with what it said
 */
export function run(
  words: readonly string[],
  { env = process.env, silent = false, limitMs }: RunOptions = {},
): Promise<{ stdout: string; wallMs: number; peakMiB: number; cpuMs: number }> {
  const timed = ['bash', '-c', 'TIMEFORMAT="%U %S"; time "$0" "$@"', ...words];
  const [program = '', ...args] = silent ? words : timed;
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const child = spawn(program, args, {
      env,
      detached: true,
      stdio: silent ? 'ignore' : ['ignore', 'pipe', 'pipe'],
    });
    let peak = 0;
    const poll = setInterval(() => {
      if (child.pid === undefined) return;
      for (const pid of family(child.pid)) peak = Math.max(peak, peakKiB(pid));
    }, POLL_MS);
    let overLimit = false;
    const limit = setTimeout(
      () => {
        overLimit = true;
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      },
      limitMs ?? 2 ** 31 - 1,
    );
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(poll);
      clearTimeout(limit);
      const wallMs = performance.now() - startedMs;
      const text = Buffer.concat(stdout).toString();
      const said = Buffer.concat(stderr).toString();
      const [user = NaN, system = NaN] = (said.trimEnd().split('\n').at(-1) ?? '')
        .split(' ')
        .map(Number);
      const cpuMs = silent ? 0 : (user + system) * 1000;
      if (overLimit) reject(new TooSlow(words.join(' ')));
      else if (code === 0) resolve({ stdout: text, wallMs, peakMiB: peak / 1024, cpuMs });
      else reject(new Error(`${words.join(' ')} ended with ${code}: ${said}`));
    });
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}
