// A copy that somebody has changed, in every known way: fsck, restore and verify notice it, except
// for the documented cases.
import {
  runTamperTable,
  TAMPER_COMMANDS,
  type TamperCommand,
  type TamperLayout,
  type TamperRow,
} from '../../test/support/tamper-table.ts';
import { MUTATIONS } from '../../test/support/tamper-mutations.ts';
import type { Lab, OpenPart, Outcome, Part, PointId } from '../part.ts';

const LAYOUTS: readonly TamperLayout[] = ['gcm', 'xchacha', 'reverse'];
const MUTATIONS_EACH = 3;
const NAMES = Object.keys(MUTATIONS);
const GROUPS = Math.ceil(NAMES.length / MUTATIONS_EACH);

/** Undetectable: an earlier version of the same size, with the present time set on it. */
const AUTHENTIC = [
  'a block rolled back',
  'a file rolled back under its new time',
  'a hole rolled back with the block behind it',
];
/** In layout `reverse` there are no holes. A forged hole is replaced by a rolled-back block. */
const AUTHENTIC_IN_REVERSE = [
  'a block of a hole filled with its earlier content',
  'a hole filled with its earlier content',
];

/**
 * Cases in which a command may succeed silently. A clone has no vault, and a copy does not show
 * missing or older files, files shortened by whole blocks, or changed attributes. The same is true
 * of stock, which is only counted.
 */
const UNNOTICED: Readonly<Partial<Record<TamperCommand, readonly string[]>>> = {
  fsck: AUTHENTIC,
  restore: AUTHENTIC,
  verify: [],
};

class Tamper implements OpenPart {
  readonly #cli: string;

  constructor({ cli }: Lab) {
    this.#cli = cli;
  }

  async run({ seed, point }: PointId): Promise<Outcome> {
    const layout = LAYOUTS[(point - 1) % LAYOUTS.length] ?? 'gcm';
    const group = Math.floor((point - 1) / LAYOUTS.length);
    const mutations = NAMES.slice(group * MUTATIONS_EACH, (group + 1) * MUTATIONS_EACH);
    const rows: TamperRow[] = [];
    const onRow = (row: TamperRow): void => void rows.push(row);
    await runTamperTable({ seed, layouts: [layout], cli: this.#cli, mutations, onRow });
    return {
      what: `${layout}: ${mutations.join('; ')}`,
      findings: rows.flatMap(findingsOf),
      figures: countsOf(rows),
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function findingsOf({ layout, mutation, outcomes }: TamperRow): string[] {
  return TAMPER_COMMANDS.flatMap((command) => {
    const outcome = outcomes[command];
    if (mutation === 'nothing') {
      const isQuiet = outcome === 'silent' || outcome === 'harmless';
      return isQuiet ? [] : [`false-alarm: ${command} of a whole copy`];
    }
    const isRollback = layout === 'reverse' && AUTHENTIC_IN_REVERSE.includes(mutation);
    const isKnown =
      (isRollback && command !== 'verify') || (UNNOTICED[command]?.includes(mutation) ?? true);
    return outcome === 'silent' && !isKnown ? [`unnoticed: ${mutation}: ${command}`] : [];
  });
}

/** How many changes each command noticed, and how. */
function countsOf(rows: readonly TamperRow[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { mutation, outcomes } of rows) {
    if (mutation === 'nothing') continue;
    for (const command of TAMPER_COMMANDS) {
      const name = `${command} ${outcomes[command] ?? 'left out'}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}

export const tamper: Part = {
  name: 'tamper',
  checks: 'fsck, restore and verify notice every change in a copy, except for rollbacks',
  size: LAYOUTS.length * GROUPS,
  pointMs: 300_000,
  open: (lab) => Promise.resolve(new Tamper(lab)),
};
