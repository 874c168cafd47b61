// Goal: with constant time enabled, a push or a restore never looks up keys in tables, and the copy
// is the same.
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ecsync, initVault, makeBench, type Bench } from './support/cli.ts';

let bench: Bench;
let started: string;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  bench = await makeBench();
  fs.mkdirSync(bench.source);
  fs.writeFileSync(path.join(bench.source, 'large'), Buffer.alloc(3_000_000, 'some content'));
  await initVault(bench);
  started = path.join(bench.dir, 'started');
  const preload = path.join(bench.dir, 'preload.mjs');
  // Reports when the WebAssembly with the tables is started, in any thread.
  fs.writeFileSync(
    preload,
    `import { appendFileSync } from 'node:fs';
     const { Instance } = WebAssembly;
     WebAssembly.Instance = function (...words) {
       const instance = new Instance(...words);
       if ('seal' in instance.exports) appendFileSync(${JSON.stringify(started)}, 'started ');
       return instance;
     };`,
  );
  env = { NODE_OPTIONS: `--import=file://${preload}`, XDG_CONFIG_HOME: bench.dir };
});
afterAll(() => bench.remove());

function digest(file: string): string {
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

/** Pushes to a new folder, and restores from it. */
async function thereAndBack(more: Readonly<Record<string, string>> = {}): Promise<{
  /** Digests. */
  readonly cipher: string;
  readonly plain: string;
  readonly usesTables: boolean;
}> {
  for (const name of [started, bench.copy, path.join(bench.dir, 'back')]) {
    fs.rmSync(name, { recursive: true, force: true });
  }
  const passfile = ['--passfile', bench.passfile];
  const options = { cwd: bench.source, env: { ...env, ...more } };
  const pushed = await ecsync(['push', '../copy', '--new-copy', ...passfile], options);
  expect(pushed).toMatchObject({ code: 0, stderr: '' });
  const back = path.join(bench.dir, 'back');
  const restored = await ecsync(
    ['restore', '--from', bench.copy, '--to', back, ...passfile],
    options,
  );
  expect(restored).toMatchObject({ code: 0 });
  const large = fs.readdirSync(bench.copy).find((name) => !name.startsWith('gocryptfs.'));
  return {
    cipher: digest(path.join(bench.copy, large ?? '')),
    plain: digest(path.join(back, 'large')),
    usesTables: fs.existsSync(started),
  };
}

test('the environment, the vault or the machine-wide configuration can enable it', async () => {
  const usual = await thereAndBack();
  expect(usual.usesTables).toBe(true);
  expect(usual.plain).toBe(digest(path.join(bench.source, 'large')));
  const slow = { ...usual, usesTables: false };
  expect(await thereAndBack({ ECSYNC_CONSTANT_TIME: '1' })).toEqual(slow);
  fs.mkdirSync(path.join(bench.dir, 'ecsync'));
  fs.writeFileSync(path.join(bench.dir, 'ecsync/config.toml'), 'constant_time = true\n');
  expect(await thereAndBack()).toEqual(slow);
  const config = path.join(bench.source, '.ecsync/config.toml');
  fs.writeFileSync(config, `constant_time = false\n${fs.readFileSync(config, 'utf8')}`);
  const shown = await ecsync(['config', 'show'], { cwd: bench.source, env });
  expect(shown.stdout).toContain(`constant_time = false  # ${config}`);
  expect((await thereAndBack()).usesTables, 'the nearer one counts').toBe(true);
});

test('an invalid value is refused', async () => {
  const words = ['push', '../copy', '--passfile', bench.passfile];
  const result = await ecsync(words, { cwd: bench.source, env: { ECSYNC_CONSTANT_TIME: 'maybe' } });
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('ECSYNC_CONSTANT_TIME=maybe: it must be 1 or 0');
});
