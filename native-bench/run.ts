/* eslint-disable no-console -- a benchmark talks to whoever started it */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startSshd } from '../test/support/sshd.ts';
import {
  type Contender,
  ecsyncContender,
  gocryptfsAndRsync,
  type Place,
  plainRsync,
} from './contenders.ts';
import { median, TooSlow, warmMemory, wireBytes, type Sample } from './measure.ts';
import { otherTools } from './other-tools.ts';
import { primitives } from './primitives.ts';
import { ecsyncRestore, plainRsyncPull, rsyncAndGocryptfs } from './restore-contenders.ts';
import { FULL, makeSource, QUICK, type Scale, type Workload, WORKLOADS } from './workloads.ts';

/**
 * ecsync beside what people use today, in one run on one machine: every workload, the contenders in
 * turn (A B C A B C …), medians and ratios. Absolute times mean little; ratios of one run do.
 */
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    work: { type: 'string', default: tmpdir() },
    only: { type: 'string', default: '' },
    huge: { type: 'boolean', default: false },
    others: { type: 'boolean', default: false },
    primitives: { type: 'boolean', default: false },
  },
});
const scale: Scale = values.quick ? QUICK : FULL;
const rounds = Number(values.rounds);

function version(program: string, flag: string): string {
  const text = execFileSync(program, [flag], { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  return (text.split('\n')[0] ?? '').trim();
}

function places(
  work: string,
  workload: Workload,
  contenders: readonly Contender[],
): Map<Contender, Place> {
  const source = path.join(work, workload.source);
  return new Map(
    contenders.map((contender, i) => [
      contender,
      {
        source,
        copy: path.join(work, `${workload.restores ? 'restored' : 'copy'}-${workload.source}-${i}`),
        state: path.join(work, `state-${workload.source}-${i}`),
      },
    ]),
  );
}

/** What one contender did in all rounds; of one that was too slow nothing more is known. */
type Samples = Map<Contender, readonly Measured[] | 'too slow'>;
interface Measured extends Sample {
  /** Over the loopback interface, both ways. */
  readonly wireBytes: number;
}

async function measure(
  workload: Workload,
  byContender: ReadonlyMap<Contender, Place>,
): Promise<Samples> {
  const samples: Samples = new Map();
  const pushOne = async (contender: Contender, place: Place, isCounted: boolean): Promise<void> => {
    const before = samples.get(contender) ?? [];
    if (before === 'too slow') return;
    if (workload.first) contender.forget(place);
    await contender.before?.(place);
    execFileSync('sync');
    warmMemory();
    const wireBefore = wireBytes();
    try {
      const sample = await contender.push(place);
      const measured = { ...sample, wireBytes: wireBytes() - wireBefore };
      if (isCounted) samples.set(contender, [...before, measured]);
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error;
      samples.set(contender, 'too slow');
    }
  };
  // Warms the page cache, and gives the workloads that need one a finished push.
  for (const [contender, place] of byContender) await pushOne(contender, place, false);
  for (let round = 0; round < rounds; round++) {
    const [anyPlace] = byContender.values();
    if (anyPlace !== undefined) workload.change?.(anyPlace.source, scale);
    // There and back: what one contender leaves to do must not always meet the same next one.
    const order = round % 2 === 0 ? [...byContender] : [...byContender].toReversed();
    for (const [contender, place] of order) await pushOne(contender, place, true);
  }
  return samples;
}

const megabytes = (bytes: number): string =>
  Number.isFinite(bytes) ? `${(bytes / 1e6).toFixed(2)} MB` : '';

function table(workload: Workload, samples: Samples): string {
  const medianOf = (list: readonly Measured[], of: (s: Measured) => number): number =>
    median(list.map(of));
  const ecsync = [...samples].find(([contender]) => contender.name === 'ecsync')?.[1];
  const ours = Array.isArray(ecsync) ? medianOf(ecsync, (s) => s.wallMs) : NaN;
  const lines = [...samples].map(([{ name }, list]) => {
    if (list === 'too slow') return `| ${name} | took too long | | | | | | |`;
    const wallMs = medianOf(list, (s) => s.wallMs);
    const cells = [
      `${(wallMs / 1000).toFixed(2)} s`,
      (ours / wallMs).toFixed(2),
      `${(medianOf(list, (s) => s.cpuMs) / 1000).toFixed(2)} s`,
      `${Math.max(...list.map((s) => s.peakMiB)).toFixed(0)} MiB`,
      megabytes(medianOf(list, (s) => s.sentBytes ?? NaN)),
      megabytes(medianOf(list, (s) => s.receivedBytes ?? NaN)),
      megabytes(medianOf(list, (s) => s.wireBytes)),
    ];
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  return [
    `\n**${workload.name}**\n`,
    '| | wall | ecsync ÷ this | processor | peak | sent | received | on the wire |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

const cli = path.resolve(import.meta.dirname, '../../dist/bin/ecsync.js');
const work = mkdtempSync(path.join(values.work, 'ecsync-bench-'));
const sshd = await startSshd();
try {
  console.log(
    `node ${process.version}; ${version('rsync', '--version')}; ${version('gocryptfs', '-version')}`,
  );
  console.log(
    `${cpus().length} × ${cpus()[0]?.model ?? '?'}; ${values.quick ? 'quick' : 'full'} size, ${rounds} rounds, work in ${values.work}`,
  );
  if (values.primitives) console.log(await primitives());
  const others = values.others ? otherTools(sshd) : [];
  const stock = [ecsyncContender(cli, sshd), gocryptfsAndRsync(sshd), plainRsync(sshd)];
  const restoring = [ecsyncRestore(cli, sshd), rsyncAndGocryptfs(sshd), plainRsyncPull(sshd)];
  const prepared = new Set<string>();
  const wanted = WORKLOADS.filter(
    ({ name, isHuge }) => name.includes(values.only) && (values.huge || isHuge !== true),
  );
  for (const workload of values.primitives ? [] : wanted) {
    const pushing = workload.isHuge ? stock : [...stock, ...others];
    const byContender = places(work, workload, workload.restores ? restoring : pushing);
    const source = path.join(work, workload.source);
    if (!existsSync(source)) makeSource(workload.source, source, scale);
    for (const [contender, place] of byContender) {
      if (prepared.has(place.copy)) continue;
      prepared.add(place.copy);
      await contender.prepare(place);
    }
    console.log(table(workload, await measure(workload, byContender)));
    // Copies that were put aside: their removal must not be part of what is measured.
    for (const name of readdirSync(work).filter((one) => one.includes('-aside-'))) {
      rmSync(path.join(work, name), { recursive: true });
    }
  }
} finally {
  await sshd.stop();
  rmSync(work, { recursive: true, force: true });
}
