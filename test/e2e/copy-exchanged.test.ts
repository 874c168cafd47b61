// Goal: if the copy of earlier pushes was exchanged for another one, the next push notices that by
// itself and leaves the other copy unchanged. If it was only damaged, the push repairs it.
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { fsck } from './support/stock.ts';

let bench: Bench;
let other: Bench;
beforeEach(async () => {
  bench = await makeBench();
  other = await makeBench();
  for (const { source } of [bench, other]) {
    mkdirSync(path.join(source, 'folder'), { recursive: true });
    writeFileSync(path.join(source, 'folder', 'file'), `file of ${source}`);
    for (let i = 0; i < 8; i++) writeFileSync(path.join(source, `top ${i}`), 'content');
  }
});
afterEach(async () => {
  await bench.remove();
  await other.remove();
});

function push(of: Bench, ...words: readonly string[]): Promise<CliResult> {
  return ecsync(['push', '-C', of.source, of.copy, '--passfile', of.passfile, ...words]);
}

const inCopy = (name: string): string => path.join(bench.copy, name);

/** Every name and content in the copy. */
function contents(): Record<string, string> {
  const names = readdirSync(bench.copy, { withFileTypes: true, recursive: true });
  const files = names.filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [
      path.relative(bench.copy, path.join(parentPath, name)),
      readFileSync(path.join(parentPath, name)).toString('hex'),
    ]),
  );
}

/**
 * The vaults are made in different seconds, since rsync requests a conf of another size or second.
 */
async function begin(): Promise<void> {
  for (const [index, one] of [bench, other].entries()) {
    await initVault(one);
    const madeSec = 1_700_000_000 + index;
    utimesSync(path.join(one.source, '.ecsync/gocryptfs.conf'), madeSec, madeSec);
    expect(await push(one, '--delete')).toMatchObject({ code: 0 });
  }
}

describe.each([
  { name: 'a local folder', words: [] },
  { name: "the system's rsync", words: ['--rsync-path', 'rsync'] },
])('a copy at $name', ({ words }) => {
  it("that was exchanged for another vault's keeps that vault's key and files", async () => {
    await begin();
    renameSync(bench.copy, `${bench.copy}.away`);
    renameSync(other.copy, bench.copy);
    const before = contents();
    writeFileSync(path.join(bench.source, 'top 3'), 'changed content');
    expect(await push(bench, '--delete', ...words)).toMatchObject({
      code: 10,
      stderr: expect.stringContaining('holds the copy of another vault') as string,
    });
    expect(contents()).toMatchObject(before);
  });
});

describe('a key file of the root', () => {
  it.each([
    { name: 'that is empty', bytes: Buffer.alloc(0) },
    { name: 'with other bytes', bytes: Buffer.alloc(16, 7) },
  ])('$name is put right by the next push', async ({ bytes }) => {
    await begin();
    execFileSync('chmod', ['u+w', inCopy('gocryptfs.diriv')]);
    writeFileSync(inCopy('gocryptfs.diriv'), bytes);
    expect(await push(bench)).toMatchObject({ code: 0 });
    expect(await fsck(bench.copy, bench.passfile)).toMatchObject({ code: 0 });
  });
});
