/** Stalls conversations of the built command at every so many bytes, and tells how each run ended. */
import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startDaemon, type RunningDaemon } from './rsync-daemon.ts';
import { startSshd, type RunningSshd } from './sshd.ts';
import {
  startStallingProxy,
  type ProxyPlan,
  type StallingProxy,
  type Way,
} from './stalling-proxy.ts';

export const TRANSPORTS = ['ssh', 'system-ssh', 'daemon', 'sftp'] as const;
export const COMMANDS = ['push', 'restore', 'ls', 'verify'] as const;
export const WAYS: readonly Way[] = ['up', 'down', 'both'];
export type SweepTransport = (typeof TRANSPORTS)[number];
export type SweepCommand = (typeof COMMANDS)[number];

/** One run whose conversation stalls. */
export interface StallPoint {
  readonly transport: SweepTransport;
  readonly command: SweepCommand;
  readonly way: Way;
  readonly afterBytes: number;
}

/** How it ended. */
export interface StallOutcome extends StallPoint {
  /** The conversation was as long as that; otherwise it ended before. */
  readonly isReached: boolean;
  /** Undefined: it did not end, and was killed. */
  readonly code: number | undefined;
  /**
   * How much later it ended than it may: `--timeout` after the last byte, or five times that after the
   * stall when keep-alives still came; with a signal, at that.
   */
  readonly overrunMs: number;
  readonly stderr: string;
}

/** What is run. */
export interface SweepOptions {
  /** The built command. */
  readonly cli: string;
  /** Bytes between two points. */
  readonly step: number;
  /** Where the first point is, 0 … step - 1, and which points are taken when there are too many. */
  readonly seed?: number;
  /** `--timeout`. Default 2. */
  readonly timeoutSec?: number;
  /** Runs at once. Default 6. */
  readonly lanes?: number;
  /** At most so many points of each conversation and way, spread over all of it. */
  readonly pointsMax?: number;
  /** Bytes of content beyond a few small files. Default 0. */
  readonly contentBytes?: number;
  readonly transports?: readonly SweepTransport[];
  readonly commands?: readonly SweepCommand[];
  readonly ways?: readonly Way[];
  /** Sends this signal half a second after the stall, and expects the end by that. */
  readonly signal?: 'SIGINT' | 'SIGTERM';
  /** What happens at each point. Default `stall`. */
  readonly then?: ProxyPlan['then'];
  readonly onPoint?: (outcome: StallOutcome) => void;
}

/** After so long without an end a run hangs. */
const HANG_MS = 60_000;
const SIGNAL_AFTER_MS = 500;
const TIMEOUT_SEC = 2;
const MEASURING_TIMEOUT_SEC = 60;
/** So much longer keep-alives are believed. */
const STAGNATION_FACTOR = 5;
const STAGNANT = 'sent nothing but keep-alives';

/**
 * Measures each conversation, then runs it again for each point.
 *
 * @returns every outcome, in the order of the points
 */
export async function runStallSweep(options: SweepOptions): Promise<StallOutcome[]> {
  const bench = await SweepBench.make(options);
  try {
    return await sweep(bench, options);
  } finally {
    await bench.remove();
  }
}

async function sweep(bench: SweepBench, options: SweepOptions): Promise<StallOutcome[]> {
  const { transports = TRANSPORTS, commands = COMMANDS, ways = WAYS, lanes = 6 } = options;
  const points: StallPoint[] = [];
  for (const transport of transports) {
    for (const command of commands) {
      if (!bench.can(transport, command)) continue;
      const length = await bench.measure(transport, command);
      for (const way of ways) {
        const total = way === 'both' ? length.up + length.down : length[way];
        points.push(
          ...pointsOf(total, options).map((afterBytes) => ({
            transport,
            command,
            way,
            afterBytes,
          })),
        );
      }
    }
  }
  const outcomes: StallOutcome[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < points.length; at = next++) {
      const point = points[at];
      if (point === undefined) return;
      const outcome = await bench.run(point);
      outcomes[at] = outcome;
      options.onPoint?.(outcome);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return outcomes;
}

function pointsOf(total: number, { step, seed = 0, pointsMax = Infinity }: SweepOptions): number[] {
  const all: number[] = [];
  for (let at = seed % step || step; at < total; at += step) all.push(at);
  if (all.length <= pointsMax) return all;
  const stride = all.length / pointsMax;
  return Array.from({ length: pointsMax }, (_, i) => all[Math.floor(i * stride)] ?? step);
}

const PASSWORD = 'correct horse battery staple';

/** The servers, a vault and a pushed copy that all points share. */
class SweepBench {
  readonly #options: SweepOptions;
  readonly #dir: string;
  readonly #sshd: RunningSshd;
  readonly #daemon: RunningDaemon;
  #runs = 0;

  private constructor(
    options: SweepOptions,
    dir: string,
    sshd: RunningSshd,
    daemon: RunningDaemon,
  ) {
    this.#options = options;
    this.#dir = dir;
    this.#sshd = sshd;
    this.#daemon = daemon;
  }

  static async make(options: SweepOptions): Promise<SweepBench> {
    const dir = await mkdtemp(path.join(tmpdir(), 'ecsync-stall-'));
    const [sshd, daemon] = await Promise.all([startSshd(), startDaemon({ copies: [] })]);
    const bench = new SweepBench(options, dir, sshd, daemon);
    await bench.#layOut();
    return bench;
  }

  async remove(): Promise<void> {
    await Promise.all([this.#sshd.stop(), this.#daemon.stop()]);
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** Over SFTP there is only reading. */
  can(transport: SweepTransport, command: SweepCommand): boolean {
    return transport !== 'sftp' || command === 'restore' || command === 'ls';
  }

  async measure(
    transport: SweepTransport,
    command: SweepCommand,
  ): Promise<{ up: number; down: number }> {
    const { proxy, result } = await this.#converse({ transport, command }, undefined);
    if (result.code !== 0) throw new Error(`${command} over ${transport}: ${result.stderr}`);
    return proxy.passed();
  }

  async run(point: StallPoint): Promise<StallOutcome> {
    const { way, afterBytes } = point;
    const plan = { way, afterBytes, then: this.#options.then ?? 'stall' };
    const { proxy, result } = await this.#converse(point, plan);
    const stalledAtMs = await Promise.race([proxy.reached, sleep(0, undefined)]);
    return {
      ...point,
      isReached: stalledAtMs !== undefined,
      code: result.code,
      overrunMs: this.#overrun(result, stalledAtMs ?? result.endMs, proxy.lastByteMs()),
      stderr: result.stderr,
    };
  }

  #overrun({ endMs, stderr }: Ended, stalledAtMs: number, lastByteMs: number): number {
    const { timeoutSec = TIMEOUT_SEC, signal } = this.#options;
    if (signal !== undefined) return endMs - stalledAtMs - SIGNAL_AFTER_MS;
    return stderr.includes(STAGNANT)
      ? endMs - stalledAtMs - STAGNATION_FACTOR * timeoutSec * 1000
      : endMs - lastByteMs - timeoutSec * 1000;
  }

  async #layOut(): Promise<void> {
    const { contentBytes = 0, cli } = this.#options;
    const source = path.join(this.#dir, 'source');
    await mkdir(path.join(source, 'folder'), { recursive: true });
    await writeFile(path.join(this.#dir, 'passfile'), `${PASSWORD}\n`, { mode: 0o600 });
    for (let i = 0; i < 6; i++) {
      const file = path.join(source, i % 2 === 0 ? 'folder' : '', `file ${i}`);
      await writeFile(file, `content of file ${i}\n`.repeat(20 * i));
    }
    if (contentBytes > 0) {
      await writeFile(path.join(source, 'large'), Buffer.alloc(contentBytes, 'large content '));
    }
    const { knownHostsFile, keyFile, home } = this.#sshd;
    await writeFile(
      path.join(home, '.ssh/config'),
      [
        `HostKeyAlias [127.0.0.1]:${this.#sshd.port}`,
        `UserKnownHostsFile ${knownHostsFile}`,
        `IdentityFile ${keyFile}`,
        'IdentitiesOnly yes',
        'IdentityAgent none',
      ].join('\n'),
      { mode: 0o600 },
    );
    const words = ['--vault-dir', path.join(this.#dir, 'vault'), '--passfile', this.#passfile];
    const env = { PATH: process.env['PATH'], HOME: '/nonexistent', LC_ALL: 'C.UTF-8' };
    const run = promisify(execFile);
    await run(process.execPath, [cli, 'init', source, '--scryptn', '10', ...words], { env });
    for (const copy of [
      path.join(this.#dir, 'copy'),
      path.join(this.#daemon.folder('copies'), 'copy'),
    ]) {
      await mkdir(copy);
      await run(process.execPath, [cli, 'push', copy, ...words], { env });
    }
  }

  get #passfile(): string {
    return path.join(this.#dir, 'passfile');
  }

  async #converse(
    { transport, command }: Pick<StallPoint, 'transport' | 'command'>,
    plan: ProxyPlan | undefined,
  ): Promise<{ proxy: StallingProxy; result: Ended }> {
    const own = path.join(this.#dir, `run-${this.#runs++}`);
    await cp(path.join(this.#dir, 'vault'), own, { recursive: true, preserveTimestamps: true });
    const isDaemon = transport === 'daemon';
    const proxy = await startStallingProxy(isDaemon ? this.#daemon.port : this.#sshd.port, plan);
    const name = command === 'push' ? path.basename(own) : 'copy';
    const parent = isDaemon ? this.#daemon.folder('copies') : this.#dir;
    const copy = command === 'push' ? path.join(own, 'copy') : path.join(parent, 'copy');
    const shown = isDaemon ? path.join(this.#daemon.folder('copies'), name) : copy;
    const url = isDaemon
      ? `rsync://127.0.0.1:${proxy.port}/copies/${name}`
      : `ssh://${this.#sshd.user}@127.0.0.1:${proxy.port}${copy}`;
    if (command === 'push') await mkdir(shown);
    try {
      const words = [...this.#words(command, url, own), ...this.#peerWords(transport, plan)];
      const result = await this.#spawn(
        [...words, '--vault-dir', own, '--passfile', this.#passfile],
        proxy,
        plan,
      );
      return { proxy, result };
    } finally {
      proxy.stop();
      await rm(own, { recursive: true, force: true });
      if (command === 'push') await rm(shown, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  #words(command: SweepCommand, url: string, own: string): string[] {
    switch (command) {
      case 'push':
      case 'verify':
        return [command, url];
      case 'restore':
        return ['restore', '--from', url, '--to', path.join(own, 'target')];
      case 'ls':
        return ['ls', '-R', '--from', url];
    }
  }

  #peerWords(transport: SweepTransport, plan: ProxyPlan | undefined): string[] {
    const { timeoutSec = TIMEOUT_SEC } = this.#options;
    // What is only measured is given time, however busy the machine is.
    const limit = ['--timeout', `${plan === undefined ? MEASURING_TIMEOUT_SEC : timeoutSec}`];
    if (transport === 'sftp') return [...limit, '--via', 'sftp'];
    if (transport !== 'system-ssh') return limit;
    return [...limit, '--rsh', `ssh -F ${path.join(this.#sshd.home, '.ssh/config')}`];
  }

  async #spawn(words: string[], proxy: StallingProxy, plan: ProxyPlan | undefined): Promise<Ended> {
    const child = spawn(process.execPath, [this.#options.cli, ...words], {
      cwd: '/',
      env: { PATH: process.env['PATH'], HOME: this.#sshd.home, LC_ALL: 'C.UTF-8' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const { signal } = this.#options;
    if (signal !== undefined && plan !== undefined) {
      void proxy.reached.then(async () => {
        await sleep(SIGNAL_AFTER_MS);
        child.kill(signal);
      });
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    const [code, endedBy] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      child.once('exit', (...how) => resolve(how));
    });
    clearTimeout(timer);
    const shown = endedBy === 'SIGINT' ? 130 : endedBy === 'SIGTERM' ? 143 : undefined;
    return { code: code ?? shown, endMs: performance.now(), stderr };
  }
}

interface Ended {
  readonly code: number | undefined;
  readonly endMs: number;
  readonly stderr: string;
}
