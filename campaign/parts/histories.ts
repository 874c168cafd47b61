// Long histories of renames and edits, pushed again and again: each push leaves an equal copy, and
// no nonce serves twice.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Random } from '../../test/support/random-tree.ts';
import { success } from '../judge.ts';
import { NonceBook } from '../nonce-book.ts';
import {
  type Lab,
  type OpenPart,
  type Outcome,
  type Part,
  type PointId,
  pointSeed,
} from '../part.ts';
import type { Scenario } from '../scenario.ts';
import { editSource } from '../source-tree.ts';
import { TrialPlace } from '../trial-place.ts';

const PUSHES = 5;

/** The source as it was at an earlier push, with new inodes. */
function rollBack(source: string, saved: string): void {
  for (const name of readdirSync(source)) {
    if (name !== '.ecsync') rmSync(path.join(source, name), { recursive: true });
  }
  for (const name of readdirSync(saved)) {
    if (name !== '.ecsync') {
      execFileSync('cp', ['-a', path.join(saved, name), path.join(source, name)]);
    }
  }
}

class Histories implements OpenPart {
  readonly #place: TrialPlace<undefined>;

  constructor(lab: Lab) {
    this.#place = new TrialPlace(lab, () => Promise.resolve(undefined));
  }

  async run(id: PointId): Promise<Outcome> {
    const random = new Random(pointSeed(id));
    const errand = random.pick(['renames', 'edits', 'edits -H']);
    const transport = random.pick<'local' | 'ssh'>(['local', 'ssh']);
    const { scenario } = await this.#place.get(id.seed, id.point, () => ({ errand, transport }));
    const book = new NonceBook();
    const findings = book.read(scenario.copy);
    const told: string[] = [...scenario.edits];
    for (let push = 1; push <= PUSHES && findings.length === 0; push++) {
      findings.push(...(await this.#step(scenario, random, { push, told })));
      findings.push(...book.read(scenario.copy));
    }
    const history = findings.length === 0 ? '' : `: ${told.join('; ')}`;
    return {
      what: `${scenario.what}, ${PUSHES} pushes${history}`,
      findings,
      figures: { pushes: PUSHES, edits: told.length, nonces: book.nonces },
    };
  }

  /**
   * One push after some edits, after an earlier state was restored, or with the vault's memory
   * lost.
   */
  async #step(
    scenario: Scenario,
    random: Random,
    { push, told }: { readonly push: number; readonly told: string[] },
  ): Promise<string[]> {
    const { source } = scenario;
    const saved = path.join(path.dirname(source), 'earlier');
    told.push(`push ${push}`);
    if (existsSync(saved) && random.oneIn(4)) {
      rollBack(source, saved);
      told.push('rolled back');
    }
    if (random.oneIn(3)) {
      rmSync(saved, { recursive: true, force: true });
      execFileSync('cp', ['-a', source, saved]);
    }
    if (random.oneIn(12)) {
      rmSync(path.join(scenario.vault, 'index'), { recursive: true, force: true });
      told.push('index lost');
    }
    const kinds = scenario.errand === 'renames' ? 'mostlyRenames' : 'all';
    told.push(...editSource(source, random, { count: 1 + random.below(10), kinds }));
    const run = await scenario.run(scenario.pushArguments());
    const repaired = run.stderr.includes('verify --repair') ? await scenario.repaired() : [];
    return [...success(run, 'push'), ...repaired, ...(await scenario.settled())];
  }

  close(): Promise<void> {
    return this.#place.close();
  }
}

export const histories: Part = {
  name: 'histories',
  checks:
    'after each of five pushes stock fsck, a mount against the source, a further push that sends nothing, verify; no nonce used for two messages',
  pointMs: 240_000,
  open: (lab) => Promise.resolve(new Histories(lab)),
};
