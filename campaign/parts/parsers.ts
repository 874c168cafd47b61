// Feeds mutated bytes to everything that reads bytes of a peer or a file: only typed errors may
// result.
import path from 'node:path';
import { mkdirSync } from 'node:fs';
import { BugError, EcsyncError } from '../../src/errors.ts';
import { Random } from '../../test/support/random-tree.ts';
import { brief } from '../judge.ts';
import { mutated } from '../mutate.ts';
import {
  type Lab,
  type OpenPart,
  type Outcome,
  type Part,
  type PointId,
  pointSeed,
} from '../part.ts';
import { fileTargets } from '../targets/files.ts';
import type { Target } from '../targets/target.ts';
import { WIRE_TARGETS } from '../targets/wire.ts';

/** Executions of one point, the same ones every time. */
const EXECUTIONS = 2000;
const ONE_MS = 5000;

class Parsers implements OpenPart {
  readonly #targets: readonly Target[];

  constructor(lab: Lab) {
    const dir = path.join(lab.dir, 'files');
    mkdirSync(dir);
    this.#targets = [...WIRE_TARGETS, ...fileTargets(dir)];
  }

  async run(id: PointId): Promise<Outcome> {
    const target = this.#targets[(id.point - 1) % this.#targets.length];
    if (target === undefined) throw new Error('there is nothing to fuzz');
    const random = new Random(pointSeed(id));
    const findings: string[] = [];
    let refused = 0;
    const { executions = EXECUTIONS } = target;
    for (let i = 0; i < executions && findings.length < 3; i++) {
      const bytes = mutated(target.samples, random);
      const startedMs = performance.now();
      const problem = await problemWith(target, bytes);
      if (problem === 'refused') refused++;
      else if (problem !== undefined) findings.push(`${problem}; input ${brief(hex(bytes), 400)}`);
      const elapsedMs = performance.now() - startedMs;
      if (elapsedMs > ONE_MS) findings.push(`slow: ${Math.round(elapsedMs)} ms; ${hex(bytes)}`);
    }
    return { what: target.name, findings, figures: { executions, refused } };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex');
}

/** Why reading failed. A typed error is correct. */
async function problemWith(target: Target, bytes: Buffer): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<'hang'>((resolve) => {
    timer = setTimeout(() => resolve('hang'), ONE_MS);
  });
  try {
    const end = await Promise.race([limit, Promise.resolve(target.read(bytes))]);
    return end === 'hang' ? 'hang: no end' : undefined;
  } catch (error) {
    if (error instanceof EcsyncError && !(error instanceof BugError)) return 'refused';
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `untyped-error: ${brief(text, 800)}`;
  } finally {
    clearTimeout(timer);
  }
}

export const parsers: Part = {
  name: 'parsers',
  checks: 'each execution ends within 5 s, with success or a typed error',
  pointMs: 120_000,
  open: (lab) => Promise.resolve(new Parsers(lab)),
};
