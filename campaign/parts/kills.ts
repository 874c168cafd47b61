// Kills client, server and sshd at counted system calls and bytes of every command that writes.
import { lstatSync } from 'node:fs';
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
import { ERRANDS, type Scenario } from '../scenario.ts';
import { objectsOf, rewriteInPlace } from '../source-tree.ts';
import {
  type Call,
  callsAbout,
  CHANGING_CALLS,
  callsOfServer,
  straceWords,
} from '../system-calls.ts';
import { TrialPlace } from '../trial-place.ts';
import { TRANSPORT_NAMES, type TransportName } from '../transports.ts';

/** Points of one scenario, which is prepared once for all of them. */
const POINTS_EACH = 6;

/** The measurements of a whole run of a scenario. */
interface Calibration {
  /** System calls of a whole run, of the client and of the server. */
  readonly client: readonly Call[];
  readonly server: readonly Call[];
  readonly bytes: number;
  readonly findings: readonly string[];
}

/** Transports over which a command can run. */
function transportsFor(errand: string): readonly [TransportName, ...TransportName[]] {
  return errand === 'password' ? ['local'] : TRANSPORT_NAMES;
}

/** Rewrites files in place, keeping their lengths, until it is stopped. */
function startWriter(source: string, random: Random): () => void {
  const files = objectsOf(source).filter((one) => {
    const stats = lstatSync(one);
    return stats.isFile() && stats.size > 0 && stats.size < 30_000 && stats.nlink === 1;
  });
  const timer = setInterval(() => {
    const file = files[random.below(files.length)];
    if (file !== undefined) rewriteInPlace(file, random.bytes(lstatSync(file).size), 0);
  }, 2);
  return () => clearInterval(timer);
}

class Kills implements OpenPart {
  readonly #lab: Lab;
  readonly #place: TrialPlace<Calibration>;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#place = new TrialPlace(lab, (scenario) => this.#calibrate(scenario));
  }

  async run(id: PointId): Promise<Outcome> {
    const group = Math.floor((id.point - 1) / POINTS_EACH);
    const { scenario, extra } = await this.#place.get(id.seed, group, (own) => {
      const errand = ERRANDS[group % ERRANDS.length] ?? 'edits';
      return { errand, transport: new Random(own).pick(transportsFor(errand)) };
    });
    scenario.reset();
    const random = new Random(pointSeed(id));
    const isFirst = (id.point - 1) % POINTS_EACH === 0;
    // An append-only push keeps the old version of rewritten files, and reports them.
    const mayRewrite = isPush(scenario) && scenario.errand !== 'append-only';
    const hasWriter = mayRewrite && random.oneIn(4);
    const stopWriter = hasWriter ? startWriter(scenario.source, random) : () => undefined;
    let killed: { run: Run; what: string };
    try {
      killed = await this.#killed(scenario, extra, random);
    } finally {
      stopWriter();
      scenario.transport.relay?.arm();
    }
    const findings = await scenario.verdict(killed.run);
    const isKilled = killed.run.signal === 'SIGKILL' || killed.run.code !== 0;
    const writer = hasWriter ? ', with a program that rewrites files' : '';
    return {
      what: `${scenario.what}${writer}; ${killed.what}`,
      findings: [...(isFirst ? extra.findings : []), ...findings],
      figures: { interrupted: isKilled ? 1 : 0, 'with a writer': hasWriter ? 1 : 0 },
    };
  }

  close(): Promise<void> {
    return this.#place.close();
  }

  async #calibrate(scenario: Scenario): Promise<Calibration> {
    const { transport } = scenario;
    const clientLog = path.join(this.#lab.dir, 'client.log');
    const serverLog = path.join(this.#lab.dir, 'server.log');
    scenario.reset();
    transport.relay?.arm();
    const under = straceWords(clientLog, CHANGING_CALLS);
    const words = scenario.words(...serverArgs(scenario, straceWords(serverLog, CHANGING_CALLS)));
    const run = await this.#place.command.run(words, { env: transport.env, under });
    return {
      client: callsAbout(clientLog, this.#lab.dir),
      server: transport.name === 'ssh' ? callsOfServer(serverLog) : [],
      bytes: (transport.relay?.passed.up ?? 0) + (transport.relay?.passed.down ?? 0),
      findings: success(run, 'whole-run'),
    };
  }

  async #killed(
    scenario: Scenario,
    { client, server, bytes }: Calibration,
    random: Random,
  ): Promise<{ run: Run; what: string }> {
    const { transport } = scenario;
    const { env } = transport;
    const log = path.join(this.#lab.dir, 'killed.log');
    const victims = ['client', 'client', ...(server.length > 0 ? ['server'] : [])];
    if (bytes > 0) victims.push('whole server', 'sessions');
    const victim = victims[random.below(victims.length)] ?? 'client';
    if (victim === 'client') {
      const call = client[random.below(client.length)];
      if (call === undefined) throw new Error('no call of the client was recorded');
      const under = straceWords(log, [call.name], { call, effect: 'KILL' });
      const run = await this.#place.command.run(scenario.words(), { env, under });
      return { run, what: `client killed at ${call.name} ${call.nth}` };
    }
    if (victim === 'server') {
      const call = server[random.below(server.length)];
      if (call === undefined) throw new Error('no call of the server was recorded');
      const under = straceWords(log, [call.name], { call, effect: 'KILL' });
      const words = scenario.words(...serverArgs(scenario, under));
      const run = await this.#place.command.run(words, { env });
      return { run, what: `a process of the server killed at ${call.name} ${call.nth}` };
    }
    return this.#killedAfterBytes(scenario, victim, 1 + random.below(bytes));
  }

  async #killedAfterBytes(
    scenario: Scenario,
    victim: string,
    afterBytes: number,
  ): Promise<{ run: Run; what: string }> {
    const { transport } = scenario;
    const kill =
      victim === 'sessions' ? () => void transport.killSessions() : () => transport.killServer();
    transport.relay?.arm({ afterBytes, act: kill });
    const run = await this.#place.command.run(scenario.words(), { env: transport.env });
    return { run, what: `${victim} killed after ${afterBytes} bytes` };
  }
}

function isPush({ errand }: Scenario): boolean {
  return !['restore', 'clone', 'password', 'adopt', 'mirror'].includes(errand);
}

/** Runs the server's rsync under another command, such as strace. */
function serverArgs(scenario: Scenario, under: readonly string[]): string[] {
  if (scenario.transport.name !== 'ssh' || scenario.errand === 'password') return [];
  return ['--rsync-path', [...under, 'rsync'].join(' ')];
}

export const kills: Part = {
  name: 'kills',
  checks:
    'stock fsck at once, the next push, fsck, a mount against the source, no leftovers, a further push that sends nothing, verify',
  pointMs: 180_000,
  open: (lab) => Promise.resolve(new Kills(lab)),
};
