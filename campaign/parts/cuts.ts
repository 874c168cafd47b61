// Cuts, resets or slows the connection after some bytes, in either direction: every command ends in
// time with a message.
import { Random } from '../../test/support/random-tree.ts';
import { manners, success } from '../judge.ts';
import {
  type Lab,
  type OpenPart,
  type Outcome,
  type Part,
  type PointId,
  pointSeed,
} from '../part.ts';
import type { Direction, Harm } from '../relay.ts';
import type { Scenario } from '../scenario.ts';
import { TrialPlace } from '../trial-place.ts';
import type { TransportName } from '../transports.ts';

const POINTS_EACH = 16;
const TIMEOUT_SEC = 5;
/** Exit codes of a cut connection: connection lost. */
const RIGHT_CODES: readonly (number | null)[] = [30];

/** Commands that only read, by their first word. */
const READERS = ['ls', 'cat', 'find', 'verify', 'fsck', 'restore', 'plan'] as const;

/** Of a whole run, in each direction. */
type Bytes = Readonly<Record<Direction, number>>;

class Cuts implements OpenPart {
  readonly #place: TrialPlace<Map<string, Bytes>>;

  constructor(lab: Lab) {
    this.#place = new TrialPlace(lab, () => Promise.resolve(new Map<string, Bytes>()));
  }

  async run(id: PointId): Promise<Outcome> {
    const group = Math.floor((id.point - 1) / POINTS_EACH);
    const { scenario, extra } = await this.#place.get(id.seed, group, (own) => ({
      errand: 'edits',
      transport: new Random(own).pick<TransportName>(['ssh', 'daemon', 'rrsync']),
    }));
    const random = new Random(pointSeed(id));
    const command = random.oneIn(2) ? 'push' : random.pick(READERS);
    const words = wordsOf(scenario, command);
    const bytes = extra.get(command) ?? (await this.#bytesOf(scenario, words));
    extra.set(command, bytes);
    scenario.reset();
    const counts = random.pick(['up', 'down'] as const);
    const act = random.pick<'cut' | 'reset' | 'slow'>(['cut', 'reset', 'slow']);
    const harm: Harm = {
      counts,
      afterBytes: 1 + random.below(Math.max(1, bytes[counts])),
      act,
      // Slow, but never silent: this must succeed.
      bytesPerSecond: 1e6 + random.below(1e6),
    };
    scenario.transport.relay?.arm(harm);
    const run = await scenario.run(words);
    const isDone = scenario.transport.relay?.isDone === true;
    scenario.transport.relay?.arm();
    const findings = run.isStuck ? ['hang: it had to be killed'] : manners(run);
    const isRight = run.code === 0 || (command === 'verify' && run.code === 26);
    if (act === 'slow' || !isDone) {
      if (!isRight) findings.push(...success(run, 'slow-connection'));
    } else if (!RIGHT_CODES.includes(run.code) && !isRight) {
      findings.push(`exit-code: exit ${String(run.code)} instead of 30: ${run.stderr}`);
    }
    if (command === 'push') findings.push(...(await scenario.verdict(run)));
    return {
      what: `${scenario.transport.name}, ${command}: ${act} after ${harm.afterBytes} bytes ${counts}`,
      findings,
      figures: { harmed: isDone ? 1 : 0, [`${act}, exit ${String(run.code)}`]: 1 },
    };
  }

  /** How many bytes a whole run sends and receives. */
  async #bytesOf(scenario: Scenario, words: readonly string[]): Promise<Bytes> {
    scenario.reset();
    scenario.transport.relay?.arm();
    await scenario.run(words);
    return { ...(scenario.transport.relay?.passed ?? { up: 1, down: 1 }) };
  }

  close(): Promise<void> {
    return this.#place.close();
  }
}

function wordsOf(scenario: Scenario, command: string): string[] {
  const key = ['-C', scenario.source, '--passfile', scenario.passfile];
  const wait = ['--timeout', String(TIMEOUT_SEC)];
  const from = ['--from', scenario.url, ...wait, ...key];
  switch (command) {
    case 'ls':
      return ['ls', '-R', ...from];
    case 'cat':
      return ['cat', 'large', ...from];
    case 'find':
      return ['find', '*', ...from];
    case 'restore':
      return ['restore', '--to', scenario.target, ...from];
    case 'plan':
      return ['plan', '--delete', scenario.url, ...wait, ...key];
    case 'verify':
    case 'fsck':
      return [command, scenario.url, ...wait, ...key];
    default:
      return scenario.pushArguments(...wait);
  }
}

export const cuts: Part = {
  name: 'cuts',
  checks: 'exit 30 in time after a cut or reset, success on a slow connection; a push as for kills',
  pointMs: 180_000,
  open: (lab) => Promise.resolve(new Cuts(lab)),
};
