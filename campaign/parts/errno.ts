// Makes one counted system call of client or server fail, with errors of disks, quotas and limits.
import path from 'node:path';
import { Random } from '../../test/support/random-tree.ts';
import type { Run } from '../command.ts';
import { success } from '../judge.ts';
import {
  type Lab,
  type OpenPart,
  type Outcome,
  type Part,
  type PointId,
  pointSeed,
} from '../part.ts';
import type { Scenario } from '../scenario.ts';
import {
  type Call,
  callsAbout,
  callsOfServer,
  CHANGING_CALLS,
  failedCall,
  isAbout,
  READING_CALLS,
  straceWords,
} from '../system-calls.ts';
import { TrialPlace } from '../trial-place.ts';
import type { TransportName } from '../transports.ts';

const POINTS_EACH = 12;
/** Includes calls that load a program. */
const READS: readonly string[] = [...READING_CALLS, 'openat'];
const CALLS = [...CHANGING_CALLS, ...READING_CALLS];
/**
 * Calls that must not fail for Node itself: it reads its own program, and its threads wake each
 * other by writing.
 */
const NEEDED_BY_NODE: readonly string[] = [...READS, 'write'];

/** Errors that a call of this name may return. */
function errorsOf(name: string): readonly [string, ...string[]] {
  if (/^(read|pread|getdents)/.test(name)) return ['EIO'];
  if (/stat|readlink/.test(name)) return ['EIO', 'EACCES'];
  if (name === 'openat') return ['EIO', 'EACCES', 'EMFILE', 'ENFILE', 'EROFS', 'ENOSPC'];
  if (/write|sync|truncate/.test(name)) return ['EIO', 'ENOSPC', 'EDQUOT', 'EFBIG'];
  if (/chmod|chown|utimens/.test(name)) return ['EIO', 'EPERM', 'EROFS'];
  return ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES'];
}

interface Calibration {
  readonly client: readonly Call[];
  readonly server: readonly Call[];
  readonly findings: readonly string[];
}

class Errno implements OpenPart {
  readonly #lab: Lab;
  readonly #place: TrialPlace<Calibration>;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#place = new TrialPlace(lab, (scenario) => this.#calibrate(scenario));
  }

  async run(id: PointId): Promise<Outcome> {
    const group = Math.floor((id.point - 1) / POINTS_EACH);
    const { scenario, extra } = await this.#place.get(id.seed, group, (own) => {
      const random = new Random(own);
      const errands = [
        'edits',
        'first push',
        'renames',
        'restore',
        'clone',
        'append-only',
        'mirror',
      ];
      const errand = errands[group % errands.length] ?? 'edits';
      return { errand, transport: random.pick<TransportName>(['local', 'ssh']) };
    });
    scenario.reset();
    const random = new Random(pointSeed(id));
    const log = path.join(this.#lab.dir, 'failed.log');
    const onServer = extra.server.length > 0 && random.oneIn(2);
    const calls = onServer ? extra.server : extra.client;
    const call = calls[random.below(calls.length)];
    if (call === undefined) throw new Error('no call was recorded');
    const effect = random.pick(errorsOf(call.name));
    const forGood = random.oneIn(3) && (onServer || !NEEDED_BY_NODE.includes(call.name));
    const under = straceWords(log, [call.name], { call, effect, forGood });
    const run = await this.#run(scenario, { under, onServer });
    const hit = failedCall(log);
    const side = onServer ? 'server' : 'client';
    const isRelevant = hit !== undefined && (onServer || isAbout(hit.text, this.#lab.dir));
    const findings = [
      ...((id.point - 1) % POINTS_EACH === 0 ? extra.findings : []),
      // While Node loads the program, calls that concern the system are irrelevant.
      ...(isRelevant || hit === undefined ? await scenario.verdict(run) : []),
      ...(isRelevant && run.code === 1 ? [`unexpected: exit 1: ${run.stderr}`] : []),
    ];
    return {
      what: `${scenario.what}; ${effect}${forGood ? ' from then on' : ''} in the ${side}: ${hit === undefined ? `${call.name} ${call.nth}, not reached` : `${hit.name}(${hit.text}`}`,
      findings,
      figures: { failed: isRelevant ? 1 : 0, [`exit ${String(run.code)}`]: 1 },
    };
  }

  #run(
    scenario: Scenario,
    { under, onServer }: { readonly under: readonly string[]; readonly onServer: boolean },
  ): Promise<Run> {
    const { env } = scenario.transport;
    if (!onServer) return this.#place.command.run(scenario.words(), { env, under });
    const words = scenario.words('--rsync-path', [...under, 'rsync'].join(' '));
    return this.#place.command.run(words, { env });
  }

  async #calibrate(scenario: Scenario): Promise<Calibration> {
    const { env, name } = scenario.transport;
    const clientLog = path.join(this.#lab.dir, 'client.log');
    const serverLog = path.join(this.#lab.dir, 'server.log');
    scenario.reset();
    const under = straceWords(clientLog, CALLS);
    const server = [...straceWords(serverLog, CALLS), 'rsync'].join(' ');
    const words = scenario.words(...(name === 'ssh' ? ['--rsync-path', server] : []));
    const run = await this.#place.command.run(words, { env, under });
    const isUsable = ({ name, text }: Call): boolean => {
      if (name === 'close') return false;
      // Node examines its standard streams when it ends, and aborts if that fails.
      if (/stat/.test(name) && /^[012]</.test(text)) return false;
      // A push that only adds cannot mend the attributes of what it has added.
      if (scenario.errand === 'append-only' && /chmod|chown|utimens/.test(name)) return false;
      // A clone is complete without the time of its root folder, and only reports that failure.
      return !(
        scenario.errand === 'clone' &&
        /utimens/.test(name) &&
        /^[^,]*, "[^"]*\/target",/.test(text)
      );
    };
    return {
      client: callsAbout(clientLog, this.#lab.dir).filter(isUsable),
      server: name === 'ssh' ? callsOfServer(serverLog).filter(isUsable) : [],
      findings: success(run, 'whole-run'),
    };
  }

  close(): Promise<void> {
    return this.#place.close();
  }
}

export const errno: Part = {
  name: 'errno',
  checks:
    'a known exit code with a message, no crash; exit 0 only with an equal copy; the next run completes everything (as for kills)',
  pointMs: 180_000,
  open: (lab) => Promise.resolve(new Errno(lab)),
};
