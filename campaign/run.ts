/* eslint-disable no-console -- a campaign talks to whoever started it */
// `npm run campaign`: divides the time among the parts, runs their points, and prints their
// findings.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Crew } from './crew.ts';
import { Journal } from './journal.ts';
import type { Part } from './part.ts';
import { PARTS } from './parts.ts';
import { findingText, resultTable } from './table.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    jobs: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    part: { type: 'string', multiple: true, default: [] },
    point: { type: 'string', multiple: true, default: [] },
    journal: { type: 'string', default: 'campaign-results/journal.jsonl' },
    cli: { type: 'string', default: path.resolve(import.meta.dirname, '../../dist/bin/ecsync.js') },
    list: { type: 'boolean', default: false },
  },
});

/** Digest of everything that the command consists of. */
function buildDigest(cli: string): string {
  const folder = path.dirname(cli);
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort()) {
    hash.update(`${name}\0`).update(readFileSync(path.join(folder, name)));
  }
  return hash.digest('hex').slice(0, 12);
}

function number(text: string, option: string): number {
  const value = Number(text);
  if (text === '' || !Number.isFinite(value) || value < 0) {
    throw new Error(`--${option} takes a number, not ${text}`);
  }
  return value;
}

const unknown = values.part.filter((name) => !PARTS.some((part) => part.name === name));
if (unknown.length > 0) throw new Error(`no part is called ${unknown.join(', ')}`);
const parts = PARTS.filter(({ name }) => values.part.length === 0 || values.part.includes(name));
const seed = number(values.seed, 'seed');
const wanted = values.point.map((text) => number(text, 'point'));

if (values.list) {
  for (const { name, checks } of PARTS) console.log(`${name.padEnd(12)} ${checks}`);
  process.exit(0);
}

const journal = new Journal(path.resolve(values.journal), buildDigest(values.cli), seed);

/** Selects the next point: of the part that had the least time so far. */
class Schedule {
  readonly #endMs = Date.now() + number(values.minutes, 'minutes') * 60_000;
  readonly #usedMs = new Map<Part, number>(parts.map((part) => [part, 0]));
  readonly #next = new Map<Part, Iterator<number>>();
  readonly #busy = new Map<Part, number>();
  #isStopped = false;

  stop(): void {
    this.#isStopped = true;
  }

  take(): { part: Part; point: number } | undefined {
    if (this.#isStopped || (wanted.length === 0 && Date.now() >= this.#endMs)) return undefined;
    const candidates = [...this.#usedMs]
      .map(([part, ms]) => ({ part, ms: ms + (this.#busy.get(part) ?? 0) * 10_000 }))
      .sort((a, b) => a.ms - b.ms);
    for (const { part } of candidates) {
      const points = this.#next.get(part) ?? pointsOf(part);
      this.#next.set(part, points);
      const step: IteratorResult<number, unknown> = points.next();
      if (step.done === true) {
        this.#usedMs.delete(part);
        continue;
      }
      this.#busy.set(part, (this.#busy.get(part) ?? 0) + 1);
      return { part, point: step.value };
    }
    return undefined;
  }

  spent(part: Part, ms: number): void {
    this.#busy.set(part, (this.#busy.get(part) ?? 1) - 1);
    this.#usedMs.set(part, (this.#usedMs.get(part) ?? 0) + ms);
  }
}

/** Points that have no outcome yet, or those that were requested. */
function* pointsOf(part: Part): Generator<number, undefined> {
  if (wanted.length > 0) {
    yield* wanted;
    return;
  }
  const done = journal.done(part.name);
  for (let point = 1; point <= (part.size ?? Infinity); point++) if (!done.has(point)) yield point;
}

const schedule = new Schedule();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => schedule.stop());

async function job(): Promise<void> {
  const crew = new Crew(values.cli);
  try {
    for (;;) {
      const next = schedule.take();
      if (next === undefined) return;
      const { part, point } = next;
      const startedMs = performance.now();
      const outcome = await crew.run(part, { seed, point });
      const elapsedMs = Math.round(performance.now() - startedMs);
      schedule.spent(part, elapsedMs);
      const line = journal.add(part.name, point, elapsedMs, outcome);
      if (line.findings.length > 0) console.log(findingText(line));
      else if (wanted.length > 0) console.log(`${part.name} ${point}: ${outcome.what}: held`);
    }
  } finally {
    await crew.close();
  }
}

await Promise.all(Array.from({ length: number(values.jobs, 'jobs') }, job));
console.log(`\nseed ${seed}, node ${process.version}, journal ${journal.file}\n`);
console.log(resultTable(parts, journal.lines()));
process.exitCode = journal.lines().some(({ findings }) => findings.length > 0) ? 1 : 0;
