// Manages the workers, one for each part and job: starts them on demand, and replaces those that
// died or hung.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Outcome, Part, PointId } from './part.ts';
import type { Answer, Order } from './worker.ts';

const SETUP_MS = 120_000;

/**
 * Runs a worker in a mount namespace of its own in which the machine is read-only except for the
 * worker's folder. A failed experiment cannot change anything else.
 */
const ENCLOSURE = [
  'set -e',
  'mount --bind "$1" "$1"',
  'mount -o remount,bind,ro /',
  'for m in /home /root /work /usr /etc /var /opt /boot /srv; do if mountpoint -q "$m"; then mount -o remount,bind,ro "$m"; fi; done',
  'if [ -w /etc ]; then echo "this machine could not be made read-only for the campaign" >&2; exit 97; fi',
  'shift; exec "$@"',
].join('\n');

/** A part's process. */
class Worker {
  readonly #child: ChildProcess;
  readonly #part: Part;
  readonly #dir = mkdtempSync(path.join(tmpdir(), 'ecsync-campaign-'));
  #isReady = false;

  constructor(part: Part, cli: string, script: string) {
    this.#part = part;
    mkdirSync('/run/sshd', { recursive: true }); // sshd requires it, and the worker could not make it
    // A process group of its own, so that everything it started can be killed.
    const words = [process.execPath, script, part.name, cli, this.#dir];
    const enclosed = ['--mount', '--', 'sh', '-c', ENCLOSURE, 'sh', this.#dir, ...words];
    this.#child = spawn('unshare', enclosed, {
      detached: true,
      cwd: this.#dir,
      env: { ...process.env, TMPDIR: this.#dir },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.once('exit', () => clear(this.#dir));
  }

  /** The outcome, or `lost` if the worker is useless because it died or took too long. */
  async run(id: PointId): Promise<Outcome | { readonly lost: string }> {
    if (!this.#isReady) {
      const ready = await this.#answer(SETUP_MS);
      if ('lost' in ready) return ready;
      this.#isReady = true;
    }
    this.#child.send({ run: id } satisfies Order);
    const answer = await this.#answer(this.#part.pointMs);
    if ('lost' in answer) return answer;
    return 'outcome' in answer ? answer.outcome : { lost: 'the worker answered out of turn' };
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.connected) this.#child.send('close' satisfies Order);
    const timer = setTimeout(() => this.kill(), 20_000);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await ended;
    clearTimeout(timer);
  }

  kill(): void {
    try {
      process.kill(-(this.#child.pid ?? 0), 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }

  #answer(ms: number): Promise<Answer | { readonly lost: string }> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.kill();
        done({ lost: `no end within ${ms / 1000} s` });
      }, ms);
      const onExit = (code: number | null, signal: string | null): void =>
        done({ lost: `the worker ended with ${String(signal ?? code)}` });
      const done = (answer: Answer | { readonly lost: string }): void => {
        clearTimeout(timer);
        this.#child.off('message', done);
        this.#child.off('exit', onExit);
        resolve(answer);
      };
      this.#child.once('message', done);
      this.#child.once('exit', onExit);
    });
  }
}

/** Unmounts and removes everything below a folder. */
function clear(dir: string): void {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n').reverse()) {
    const mountpoint = line.split(' ')[1] ?? '';
    if (mountpoint.startsWith(`${dir}/`)) spawnSync('fusermount', ['-u', '-z', mountpoint]);
  }
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}

/** The workers of one job. */
export class Crew {
  readonly #cli: string;
  readonly #script: string;
  readonly #workers = new Map<string, Worker>();

  /** @param script - the worker, compiled */
  constructor(cli: string, script = path.join(import.meta.dirname, 'worker.js')) {
    this.#cli = cli;
    this.#script = script;
  }

  async run(part: Part, id: PointId): Promise<Outcome> {
    const worker = this.#workers.get(part.name) ?? new Worker(part, this.#cli, this.#script);
    this.#workers.set(part.name, worker);
    const outcome = await worker.run(id);
    if (!('lost' in outcome)) return outcome;
    this.#workers.delete(part.name);
    return { what: 'see --point', findings: [`lost: ${outcome.lost}`], figures: {} };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
  }
}
