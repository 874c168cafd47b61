// The source changes while a push reads it. When the changes have stopped, the next push must
// complete the copy.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { Random } from '../../test/support/random-tree.ts';
import { withMount } from '../../test/e2e/support/stock.ts';
import { inside } from '../inside.ts';
import { cleanCopy, manners, success } from '../judge.ts';
import {
  type Lab,
  type OpenPart,
  type Outcome,
  type Part,
  type PointId,
  pointSeed,
} from '../part.ts';
import type { Scenario } from '../scenario.ts';
import { editSource, objectsOf, rewriteInPlace } from '../source-tree.ts';
import { TrialPlace } from '../trial-place.ts';
import type { TransportName } from '../transports.ts';

/**
 * Exit codes of a push whose source changed: success, some files unreadable, some vanished or
 * changed.
 */
const RIGHT_CODES: readonly (number | null)[] = [0, 23, 24];
/** Every file outside of the source contains this. No copy may ever hold it. */
const SECRET = 'what is outside of the source';

type Mutation = (source: string, random: Random) => void;

/** Rewrites a file in place, keeping its length. */
const rewrite: Mutation = (source, random) => {
  const files = objectsOf(source).filter((one) => lstatSync(one).isFile());
  const file = files[random.below(files.length)];
  if (file !== undefined) inside(source, file);
  if (file === undefined || lstatSync(file).size === 0) return;
  const length = Math.min(lstatSync(file).size, 5000);
  rewriteInPlace(file, random.bytes(length), random.below(lstatSync(file).size - length + 1));
};

/** A folder, or one above it, is replaced by a link to a similar folder outside, and comes back. */
function swapForLink(outside: string): Mutation {
  return (source) => {
    const shelf = path.join(source, 'shelf');
    const aside = path.join(source, 'shelf aside');
    if (existsSync(aside)) {
      rmSync(shelf, { recursive: true, force: true });
      renameSync(aside, shelf);
      return;
    }
    if (!existsSync(shelf)) return;
    renameSync(shelf, aside);
    symlinkSync(outside, shelf);
  };
}

/** A folder outside of the source whose files have the names of those in the source's shelf. */
function makeOutside(scenario: Scenario): string {
  const outside = path.join(path.dirname(scenario.source), 'outside');
  rmSync(outside, { recursive: true, force: true });
  mkdirSync(outside);
  const shelf = path.join(scenario.source, 'shelf');
  const names = existsSync(shelf) && lstatSync(shelf).isDirectory() ? readdirSync(shelf) : [];
  for (const name of ['of its own', ...names]) writeFileSync(path.join(outside, name), SECRET);
  return outside;
}

/** Files of a mounted copy with content from outside of the source. */
function leaks(mountpoint: string): string[] {
  return objectsOf(mountpoint).filter(
    (one) =>
      lstatSync(one).isFile() && lstatSync(one).size < 1e5 && readFileSync(one).includes(SECRET),
  );
}

class Changing implements OpenPart {
  readonly #place: TrialPlace<undefined>;

  constructor(lab: Lab) {
    this.#place = new TrialPlace(lab, () => Promise.resolve(undefined));
  }

  async run(id: PointId): Promise<Outcome> {
    const random = new Random(pointSeed(id));
    const transport = random.pick<TransportName>(['local', 'ssh']);
    const { scenario } = await this.#place.get(id.seed, id.point, () => ({
      errand: 'edits',
      transport,
    }));
    const kinds: Readonly<Record<string, Mutation>> = {
      'files rewritten in place': rewrite,
      'edits of every kind': (source, dice) => void editSource(source, dice, { count: 1 }),
      renames: (source, dice) =>
        void editSource(source, dice, { count: 1, kinds: 'mostlyRenames' }),
      'a folder that becomes a link': swapForLink(makeOutside(scenario)),
    };
    const kind = random.pick(Object.keys(kinds) as [string, ...string[]]);
    const everyMs = random.pick([1, 3, 20]);
    const findings: string[] = [];
    let changes = 0;
    const codes: Record<string, number> = {};
    const timer = setInterval(() => {
      changes++;
      kinds[kind]?.(scenario.source, random);
    }, everyMs);
    try {
      const pushes = 1 + random.below(3);
      for (let push = 0; push < pushes; push++) {
        const run = await scenario.run(scenario.pushArguments());
        codes[`exit ${String(run.code)}`] = (codes[`exit ${String(run.code)}`] ?? 0) + 1;
        findings.push(...(RIGHT_CODES.includes(run.code) ? manners(run) : success(run, 'push')));
      }
    } finally {
      clearInterval(timer);
    }
    findings.push(...(await this.#verdict(scenario)));
    return {
      what: `${scenario.what}; ${kind} every ${everyMs} ms`,
      findings,
      figures: { changes, ...codes },
    };
  }

  async #verdict(scenario: Scenario): Promise<string[]> {
    const findings = await cleanCopy(scenario.copy, scenario.passfile, 'fsck-at-once');
    if (findings.length === 0) {
      const found = await withMount(scenario.copy, scenario.passfile, (mountpoint) =>
        Promise.resolve(leaks(mountpoint)),
      );
      if (found.length > 0) findings.push(`read-outside: ${found.join(' ')}`);
    }
    findings.push(...success(await scenario.run(scenario.pushArguments()), 'next-push'));
    return [...findings, ...(await scenario.settled())];
  }

  close(): Promise<void> {
    return this.#place.close();
  }
}

export const changing: Part = {
  name: 'changing',
  checks:
    'exit 0, 23 or 24 while the source changes, stock fsck, nothing from outside of the source; then the next push completes the copy',
  pointMs: 180_000,
  open: (lab) => Promise.resolve(new Changing(lab)),
};
