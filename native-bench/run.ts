/* eslint-disable no-console -- a benchmark talks to whoever started it */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
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
import { median, type Sample } from './measure.ts';
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

async function measure(
  workload: Workload,
  byContender: ReadonlyMap<Contender, Place>,
): Promise<Map<Contender, Sample[]>> {
  const samples = new Map<Contender, Sample[]>();
  const pushAll = async (isCounted: boolean): Promise<void> => {
    for (const [contender, place] of byContender) {
      if (workload.first) contender.forget(place);
      execFileSync('sync');
      const sample = await contender.push(place);
      if (isCounted) samples.set(contender, [...(samples.get(contender) ?? []), sample]);
    }
  };
  // Warms the page cache, and gives the workloads that need one a finished push.
  await pushAll(false);
  for (let round = 0; round < rounds; round++) {
    const [anyPlace] = byContender.values();
    if (anyPlace !== undefined) workload.change?.(anyPlace.source, scale);
    await pushAll(true);
  }
  return samples;
}

const cell = (text: string, width: number): string => text.padStart(width);

function table(workload: Workload, samples: ReadonlyMap<Contender, Sample[]>): string {
  const rows = [...samples].map(([contender, list]) => ({
    name: contender.name,
    wallMs: median(list.map((s) => s.wallMs)),
    peakMiB: Math.max(...list.map((s) => s.peakMiB)),
    sent: median(list.map((s) => s.sentBytes ?? NaN)),
    received: median(list.map((s) => s.receivedBytes ?? NaN)),
  }));
  const ours = rows.find((row) => row.name === 'ecsync')?.wallMs ?? NaN;
  const lines = rows.map((row) =>
    [
      row.name.padEnd(20),
      cell(`${(row.wallMs / 1000).toFixed(2)} s`, 10),
      cell((ours / row.wallMs).toFixed(2), 8),
      cell(`${row.peakMiB.toFixed(0)} MiB`, 10),
      cell(`${(row.sent / 1e6).toFixed(2)} MB`, 14),
      cell(`${(row.received / 1e6).toFixed(2)} MB`, 14),
    ].join(''),
  );
  const head = `${''.padEnd(20)}${cell('wall', 10)}${cell('ecsync/', 8)}${cell('peak', 10)}${cell('sent', 14)}${cell('received', 14)}`;
  return [`\n${workload.name}`, head, ...lines].join('\n');
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
  const pushing = [ecsyncContender(cli, sshd), gocryptfsAndRsync(sshd), plainRsync(sshd)];
  const restoring = [ecsyncRestore(cli, sshd), rsyncAndGocryptfs(sshd), plainRsyncPull(sshd)];
  const prepared = new Set<string>();
  for (const workload of WORKLOADS.filter((w) => w.name.includes(values.only))) {
    const byContender = places(work, workload, workload.restores ? restoring : pushing);
    const source = path.join(work, workload.source);
    if (!existsSync(source)) makeSource(workload.source, source, scale);
    for (const [contender, place] of byContender) {
      if (prepared.has(place.copy)) continue;
      prepared.add(place.copy);
      await contender.prepare(place);
    }
    console.log(table(workload, await measure(workload, byContender)));
  }
} finally {
  await sshd.stop();
  rmSync(work, { recursive: true, force: true });
}
