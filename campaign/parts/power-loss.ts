// Damages each file of a vault's folder as a power cut does, then pushes: the copy is complete, or
// a message explains why not.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../test/support/random-tree.ts';
import { inside, namesBelow } from '../inside.ts';
import { cleanCopy, equalCopy, manners, success } from '../judge.ts';
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
import type { TransportName } from '../transports.ts';

const POINTS_EACH = 40;

type Damage = (file: string, random: Random, older: string) => void;

const DAMAGES: Readonly<Record<string, Damage>> = {
  emptied: (file) => truncateSync(file, 0),
  cut: (file, random) => truncateSync(file, random.below(lstatSync(file).size + 1)),
  'zeroed from somewhere on': (file, random) => {
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0, random.below(bytes.length + 1)));
  },
  'all zeros': (file) => writeFileSync(file, Buffer.alloc(lstatSync(file).size)),
  'a bit flipped': (file, random) => {
    const bytes = readFileSync(file);
    const at = random.below(Math.max(1, bytes.length));
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    writeFileSync(file, bytes);
  },
  'of an older generation': (file, _random, older) => {
    if (existsSync(older)) copyFileSync(older, file);
    else rmSync(file);
  },
  removed: (file) => rmSync(file),
  'a folder in its place': (file) => {
    rmSync(file);
    mkdirSync(file);
  },
  'a full folder in its place': (file) => {
    rmSync(file);
    mkdirSync(file);
    writeFileSync(path.join(file, 'inside'), 'inside');
  },
};

/** Files of a vault's folder, relative to it. */
function filesOf(vault: string): string[] {
  return namesBelow(vault)
    .filter((name) => lstatSync(path.join(vault, name)).isFile())
    .sort();
}

/** A digest of names, kinds and content of everything in a copy. */
function digestOf(copy: string): string {
  const hash = createHash('sha256');
  for (const name of namesBelow(copy)) {
    const one = path.join(copy, name);
    const stats = lstatSync(one);
    hash.update(`\0${name}\0${stats.mode}\0`);
    if (stats.isFile()) hash.update(readFileSync(one));
    else if (stats.isSymbolicLink()) hash.update(readlinkSync(one));
  }
  return hash.digest('hex');
}

interface Whole {
  readonly older: string;
  readonly files: readonly string[];
  readonly digest: string;
  readonly findings: readonly string[];
}

class PowerLoss implements OpenPart {
  readonly #lab: Lab;
  readonly #place: TrialPlace<Whole>;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#place = new TrialPlace(lab, (scenario) => this.#twoGenerations(scenario));
  }

  /** Two pushes, a lock that a killed one leaves, and edits that are still to be pushed. */
  async #twoGenerations(scenario: Scenario): Promise<Whole> {
    const random = new Random(1);
    const older = scenario.keepVault('older-vault');
    const second = await scenario.run(scenario.pushArguments());
    editSource(scenario.source, random, { count: 10, kinds: 'mostlyRenames' });
    editSource(scenario.source, random, { count: 6 });
    await this.#leaveLock(scenario);
    scenario.save();
    const third = await scenario.run(scenario.pushArguments());
    const digest = digestOf(scenario.copy);
    scenario.reset();
    const findings = [...success(second, 'whole-run'), ...success(third, 'whole-run')];
    return { older, files: filesOf(scenario.vault), digest, findings };
  }

  async #leaveLock(scenario: Scenario): Promise<void> {
    const words = [this.#lab.cli, ...scenario.pushArguments('-n')];
    const child = spawn(process.execPath, words, {
      env: { ...process.env, ...scenario.transport.env },
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const lock = path.join(scenario.vault, 'lock');
    while (!existsSync(lock) && child.exitCode === null) await sleep(1);
    child.kill('SIGKILL');
    await ended;
  }

  async run(id: PointId): Promise<Outcome> {
    const group = Math.floor((id.point - 1) / POINTS_EACH);
    const { scenario, extra } = await this.#place.get(id.seed, group, (own) => ({
      errand: 'edits',
      transport: new Random(own).pick<TransportName>(['local', 'ssh', 'local', 'rrsync']),
    }));
    const random = new Random(pointSeed(id));
    scenario.reset();
    const name = extra.files[(id.point - 1) % extra.files.length] ?? '';
    const kinds = Object.keys(DAMAGES);
    const kind = kinds[random.below(kinds.length)] ?? 'emptied';
    DAMAGES[kind]?.(
      inside(scenario.vault, path.join(scenario.vault, name)),
      random,
      path.join(extra.older, name),
    );
    const run = await scenario.run(scenario.pushArguments());
    const findings = [...manners(run), ...(id.point === 1 ? extra.findings : [])];
    const figures: Record<string, number> = {};
    if (run.code === 0) {
      figures['healed'] = 1;
      if (digestOf(scenario.copy) !== extra.digest) figures['other ciphertext'] = 1;
      findings.push(...(await equalCopy(scenario, scenario.compareOptions, 'content-at-once')));
      if (run.stderr.includes('verify --repair')) findings.push(...(await scenario.repaired()));
      findings.push(...(await scenario.settled()));
    } else {
      figures['refused with a message'] = 1;
      findings.push(...(await this.#afterRefusal(scenario)));
    }
    return {
      what: `${scenario.what}; ${name.replace(/[\da-f]{16,}/, '*')} ${kind}`,
      findings,
      figures,
    };
  }

  /** The copy is unchanged, and when the files of the vault are restored the push succeeds. */
  async #afterRefusal(scenario: Scenario): Promise<string[]> {
    const findings = await cleanCopy(scenario.copy, scenario.passfile, 'fsck-at-once');
    scenario.reset();
    findings.push(...success(await scenario.run(scenario.pushArguments()), 'next-push'));
    return [...findings, ...(await scenario.settled())];
  }

  close(): Promise<void> {
    return this.#place.close();
  }
}

export const powerLoss: Part = {
  name: 'power-loss',
  checks:
    'the push completes the copy as from whole files (stock fsck, mount against the source, verify), or ends with a message and leaves the copy clean',
  pointMs: 180_000,
  open: (lab) => Promise.resolve(new PowerLoss(lab)),
};
