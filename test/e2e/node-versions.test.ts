import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSshd, type RunningSshd } from '../support/sshd.ts';
import { ecsync, makeBench, summaryOf, type Bench, type CliResult } from './support/cli.ts';
import { differences } from './support/compare.ts';

// Goal: the command works with every supported version of Node, from the oldest one on, and
// standard error holds only its own messages (no deprecation, no experimental feature).

const VERSIONS = ['20.19.0', '22', '24', '26'];
/** A file of this size is encrypted and decrypted in threads. */
const LARGE = 20_000_000;
const FOLDER = path.resolve(import.meta.dirname, '../../node_modules/.cache/node-versions');

let sshd: RunningSshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd.stop();
});

function nodeOf(version: string): string {
  const node = path.join(FOLDER, version, 'bin/node');
  if (!existsSync(node)) {
    throw new Error(`Node ${version} is not there: run scripts/install-node-versions.sh`);
  }
  expect(execFileSync(node, ['--version'], { encoding: 'utf8' })).toMatch(
    new RegExp(`^v${version.replaceAll('.', '\\.')}(?:\\.|\\n)`),
  );
  return node;
}

function fill(source: string): void {
  mkdirSync(path.join(source, 'folder'), { recursive: true });
  for (let i = 0; i < 40; i++) writeFileSync(path.join(source, 'folder', `file ${i}`), `text ${i}`);
  writeFileSync(path.join(source, 'large'), Buffer.alloc(LARGE, 'some content '));
}

describe.each(VERSIONS)('Node %s', (version) => {
  let bench: Bench;
  let node: string;
  const run = (...words: readonly string[]): Promise<CliResult> =>
    ecsync([...words, '-C', bench.source, '--passfile', bench.passfile], {
      node,
      env: { HOME: sshd.home },
    });

  beforeAll(async () => {
    node = nodeOf(version);
    bench = await makeBench();
    fill(bench.source);
    const words = ['init', bench.source, '--scryptn', '10', '--passfile', bench.passfile];
    const made = await ecsync(words, { node });
    expect(made.code).toBe(0);
    expect(made.stderr).not.toMatch(/warning/i);
  });
  afterAll(async () => {
    await bench.remove();
  });

  it.each(['a local folder', 'ssh'])('pushes, verifies and restores: %s', async (where) => {
    const target = path.join(bench.dir, `back-${where}`);
    const copy = path.join(bench.dir, `copy-${where.replaceAll(' ', '-')}`);
    const url = where === 'ssh' ? `ssh://${sshd.user}@127.0.0.1:${sshd.port}${copy}` : copy;
    const silent = { code: 0, stdout: '', stderr: '' };
    expect(await run('push', url)).toMatchObject(silent);
    writeFileSync(path.join(bench.source, 'large'), Buffer.alloc(LARGE + 1, 'other content '));
    expect(await run('push', url)).toMatchObject(silent);
    const again = await run('push', url, '--json');
    expect(again.stderr).toBe('');
    expect(summaryOf(again)).toMatchObject({ exitCode: 0, filesSent: 0 });
    expect(await run('verify', url)).toMatchObject(silent);
    expect(await run('restore', '--from', url, '--to', target)).toMatchObject(silent);
    const ignore = ['.ecsync'];
    expect(differences(bench.source, target, { ignore, nanoseconds: false })).toEqual([]);
  });
});
