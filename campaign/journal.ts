// The campaign's memory: one JSON line for each point, appended as soon as its outcome is known.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Outcome, PointId } from './part.ts';

export interface JournalLine extends Outcome, PointId {
  readonly part: string;
  /** Digest of the tested build. Outcomes count only for the same build. */
  readonly build: string;
  readonly elapsedMs: number;
}

/** Appends to a file, and knows its outcomes for one build and seed. */
export class Journal {
  readonly file: string;
  readonly #build: string;
  readonly #seed: number;
  readonly #lines: JournalLine[] = [];

  constructor(file: string, build: string, seed: number) {
    this.file = file;
    this.#build = build;
    this.#seed = seed;
    mkdirSync(path.dirname(file), { recursive: true });
    if (!existsSync(file)) return;
    for (const text of readFileSync(file, 'utf8').split('\n')) {
      const line = parsed(text);
      if (line?.build === build && line.seed === seed) this.#lines.push(line);
    }
  }

  /** Points of a part that have an outcome. */
  done(part: string): ReadonlySet<number> {
    return new Set(this.#lines.filter((line) => line.part === part).map(({ point }) => point));
  }

  add(part: string, point: number, elapsedMs: number, outcome: Outcome): JournalLine {
    const line = { part, seed: this.#seed, point, build: this.#build, elapsedMs, ...outcome };
    this.#lines.push(line);
    appendFileSync(this.file, `${JSON.stringify(line)}\n`);
    return line;
  }

  lines(): readonly JournalLine[] {
    return this.#lines;
  }
}

/** Parses a line. Undefined for one that was cut off when the campaign was stopped. */
function parsed(text: string): JournalLine | undefined {
  try {
    return JSON.parse(text) as JournalLine;
  } catch {
    return undefined;
  }
}
