// Goal: a source, a vault or a local destination that is moved away while it is pushed is told as what it is, and nothing is made in its place.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { fsck } from './support/stock.ts';

const FILES = 40;
const FILE_LENGTH = 2_000_000;

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(bench.source, { recursive: true });
  for (let i = 0; i < FILES; i++) {
    writeFileSync(path.join(bench.source, `file ${i}`), Buffer.alloc(FILE_LENGTH, i));
  }
  await initVault(bench);
});
afterEach(() => bench.remove());

/** A push that is slow enough to be disturbed, once the copy has some files. */
async function disturbed(disturb: () => void): Promise<CliResult> {
  const words = ['push', '-C', bench.source, '--passfile', bench.passfile, '--bwlimit', '20m'];
  const pushing = ecsync([...words, bench.copy]);
  for (;;) {
    const names = existsSync(bench.copy) ? readdirSync(bench.copy) : [];
    if (names.filter((name) => name.length === 22).length >= 3) break;
    await sleep(10);
  }
  disturb();
  return pushing;
}

it('a source with its vault', { timeout: 60_000 }, async () => {
  const away = `${bench.source}-away`;
  const result = await disturbed(() => renameSync(bench.source, away));
  expect(result.code, result.stderr).toBe(10);
  expect(result.stderr).toContain(`${bench.source} has gone while it was pushed`);
  expect(existsSync(bench.source)).toBe(false);
  renameSync(away, bench.source);
  const push = ['push', '-C', bench.source, '--passfile', bench.passfile, bench.copy];
  expect(await ecsync(push)).toMatchObject({ code: 0 });
  expect(await fsck(bench.copy, bench.passfile)).toMatchObject({ code: 0 });
});

it('a local destination', { timeout: 60_000 }, async () => {
  const away = `${bench.copy}-away`;
  const result = await disturbed(() => renameSync(bench.copy, away));
  expect(result.code, result.stderr).toBe(5);
  expect(result.stderr).toContain(`${bench.copy} was moved or replaced while it was written`);
  if (existsSync(bench.copy)) rmSync(bench.copy, { recursive: true });
  renameSync(away, bench.copy);
  const push = ['push', '-C', bench.source, '--passfile', bench.passfile, bench.copy];
  expect(await ecsync(push)).toMatchObject({ code: 0 });
  expect(await fsck(bench.copy, bench.passfile)).toMatchObject({ code: 0 });
});
