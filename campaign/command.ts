// Runs the command under test, with or without a fault, and never waits for it longer than a limit.
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CliResult, runProgram } from '../test/e2e/support/run-cli.ts';
import { serversAt } from './transports.ts';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Longer than any run takes unless it hangs. Then it is killed. */
  readonly limitMs?: number;
  /** A command line that runs the command, such as strace. */
  readonly under?: readonly string[];
  /** Kills the command after this time, as a fault. */
  readonly killAfterMs?: number;
}

export interface Run extends CliResult {
  readonly elapsedMs: number;
  /** It was killed because it did not end. */
  readonly isStuck: boolean;
}

const LIMIT_MS = 60_000;

/** Kills a process and all its descendants. */
function killTree(pid: number): void {
  const { stdout } = spawnSync('ps', ['-e', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const pairs = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const below = (parent: number): number[] =>
    pairs.flatMap(([child = 0, ppid]) => (ppid === parent ? [child, ...below(child)] : []));
  for (const one of [pid, ...below(pid)]) {
    try {
      process.kill(one, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** `ecsync WORD…`, as a scheduler runs it. */
export class Command {
  readonly #cli: string;

  constructor(cli: string) {
    this.#cli = cli;
  }

  async run(words: readonly string[], options: RunOptions = {}): Promise<Run> {
    const { env, limitMs = LIMIT_MS, under = [], killAfterMs } = options;
    const [program = '', ...rest] = [...under, process.execPath, this.#cli, ...words];
    const startedMs = performance.now();
    const timers: NodeJS.Timeout[] = [];
    let isStuck = false;
    const result = await runProgram(program, rest, {
      ...(env !== undefined && { env }),
      onStart: (child) => {
        const kill = (): void => {
          killTree(child.pid ?? 0);
        };
        if (killAfterMs !== undefined) timers.push(setTimeout(kill, killAfterMs));
        timers.push(
          setTimeout(() => {
            isStuck = true;
            kill();
          }, limitMs),
        );
      },
    });
    for (const timer of timers) clearTimeout(timer);
    return { ...result, elapsedMs: performance.now() - startedMs, isStuck };
  }
}

/** Waits until no server works below a folder any more. Reports one that does not end. */
export async function serversEnd(folder: string, limitMs = 20_000): Promise<string[]> {
  const endMs = Date.now() + limitMs;
  while (Date.now() < endMs) {
    if (serversAt(folder).length === 0) return [];
    await sleep(20);
  }
  const left = serversAt(folder);
  for (const pid of left) killTree(pid);
  return left.length === 0 ? [] : [`server-stays: ${left.length} processes after ${limitMs} ms`];
}
