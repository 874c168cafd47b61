// Conversations that stall, are cut or get a signal after a number of bytes: every command ends in
// time with a message.
import { Random } from '../../test/support/random-tree.ts';
import {
  COMMANDS,
  runStallSweep,
  type StallOutcome,
  type SweepOptions,
  TRANSPORTS,
} from '../../test/support/stall-sweep.ts';
import { brief, manners } from '../judge.ts';
import {
  type Lab,
  type OpenPart,
  type Outcome,
  type Part,
  type PointId,
  pointSeed,
} from '../part.ts';

/** All conversations. SFTP is only used for reading. */
const CONVERSATIONS = TRANSPORTS.flatMap((transport) =>
  COMMANDS.filter(
    (command) => transport !== 'sftp' || command === 'restore' || command === 'ls',
  ).map((command) => ({ transport, command })),
);

/**
 * A fault after a number of bytes, and the correct exit codes. 0: everything important had passed.
 */
interface Harm {
  readonly name: string;
  readonly options: Partial<SweepOptions>;
  readonly codes: readonly number[];
}

const STALL: Harm = { name: 'stall', options: {}, codes: [0, 30] };
const HARMS = [
  STALL,
  STALL,
  { name: 'cut', options: { then: 'cut' }, codes: [0, 30] },
  {
    name: 'Ctrl-C while it stalls',
    options: { signal: 'SIGINT', timeoutSec: 50 },
    codes: [0, 130],
  },
  {
    name: 'SIGTERM while it stalls',
    options: { signal: 'SIGTERM', timeoutSec: 50 },
    codes: [0, 130, 143],
  },
] as const satisfies readonly Harm[];

/** Tolerated delay on a busy machine. */
const LATE_MS = 15_000;
const POINTS_EACH_WAY = 3;

class Stalls implements OpenPart {
  readonly #cli: string;

  constructor({ cli }: Lab) {
    this.#cli = cli;
  }

  async run(id: PointId): Promise<Outcome> {
    const random = new Random(pointSeed(id));
    const conversation = CONVERSATIONS[(id.point - 1) % CONVERSATIONS.length];
    if (conversation === undefined) throw new Error('there is no conversation');
    const { transport, command } = conversation;
    const harm: Harm = random.pick(HARMS);
    const outcomes = await runStallSweep({
      cli: this.#cli,
      step: 2000 + random.below(4000),
      seed: random.below(1e6),
      pointsMax: POINTS_EACH_WAY,
      contentBytes: random.oneIn(2) ? 200_000 : 0,
      transports: [transport],
      commands: [command],
      ...harm.options,
    });
    const reached = outcomes.filter(({ isReached }) => isReached);
    return {
      what: `${transport}, ${command}: ${harm.name}`,
      findings: outcomes.flatMap((outcome) => findingsOf(outcome, harm)),
      figures: { conversations: outcomes.length, harmed: reached.length },
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function findingsOf(outcome: StallOutcome, { codes }: Harm): string[] {
  const { way, afterBytes, code, isReached, overrunMs, stderr } = outcome;
  const findings: string[] = [];
  const where = `${afterBytes} bytes ${way}`;
  if (code === undefined) return [`hang: ${where}: no end`];
  if (code !== 143) findings.push(...manners({ code, signal: null, stdout: '', stderr }));
  const right = isReached ? codes : [0];
  if (!right.includes(code)) {
    findings.push(`exit-code: ${where}: exit ${code}, not ${right.join(' or ')}: ${brief(stderr)}`);
  }
  if (isReached && overrunMs > LATE_MS) {
    findings.push(`late: ${where}: ${Math.round(overrunMs / 1000)} s`);
  }
  return findings;
}

export const stalls: Part = {
  name: 'stalls',
  checks: 'exit 30, or the code of the signal, in time, at any point and in any direction',
  pointMs: 300_000,
  open: (lab) => Promise.resolve(new Stalls(lab)),
};
