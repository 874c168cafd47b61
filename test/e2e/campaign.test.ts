// A small, constant share of every part of the campaign: it keeps the parts working, and the bugs
// that they found fixed. `npm run campaign` runs all of it.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { Crew } from '../../campaign/crew.ts';
import { PARTS } from '../../campaign/parts.ts';

const SEED = 7;
/** Points of each part. */
const SHARE: Readonly<Record<string, readonly number[]>> = {
  kills: [2],
  'power-loss': [5],
  cuts: [2],
  errno: [3],
  changing: [1],
  histories: [6],
  peers: [1, 2],
  'system-files': [1],
  parsers: Array.from({ length: 31 }, (_, i) => 3 * i + 1),
};

/** Their share is in `stalls.test.ts` and `tamper.test.ts`. */
const ELSEWHERE: readonly string[] = ['stalls', 'tamper'];

let folder: string;
let crew: Crew;
beforeAll(async () => {
  const root = path.resolve(import.meta.dirname, '../..');
  // Below `node_modules`, where the worker finds its packages.
  const cache = path.join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  folder = mkdtempSync(path.join(cache, 'campaign-'));
  const input = { worker: path.join(root, 'campaign/worker.ts') };
  const bundle = await rolldown({ input, platform: 'node', external: ['ssh2'] });
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].mjs' });
  await bundle.close();
  crew = new Crew(inject('cliPath'), path.join(folder, 'worker.mjs'));
}, 60_000);
afterAll(async () => {
  await crew.close();
  rmSync(folder, { recursive: true });
});

it.each(PARTS.map(({ name }) => name).filter((name) => !ELSEWHERE.includes(name)))(
  '%s: a small share passes',
  { timeout: 240_000 },
  async (name) => {
    const part = PARTS.find((one) => one.name === name) ?? expect.fail();
    const points = SHARE[name] ?? expect.fail(`no share of ${name}`);
    for (const point of points) {
      const { what, findings } = await crew.run(part, { seed: SEED, point });
      expect(findings, `--part ${name} --seed ${SEED} --point ${point}: ${what}`).toEqual([]);
    }
  },
);
