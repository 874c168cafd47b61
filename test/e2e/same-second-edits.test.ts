// Files that a push has sent and that change in the same second. No later push may take them for
// unchanged.
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, ecsync, initVault, makeBench, type CliResult } from './support/cli.ts';

const HOOK = pathToFileURL(path.resolve('test/support/stale-at.mjs')).href;

describe('a file rewritten within the second in which it was sent', () => {
  let bench: Bench;
  let edited: string;
  beforeAll(async () => {
    bench = await makeBench();
    mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
    edited = path.join(bench.source, 'folder', 'edited');
    writeFileSync(edited, 'as it was');
    writeFileSync(path.join(bench.source, 'other'), 'other');
    await initVault(bench);
  });
  afterAll(() => bench.remove());

  function run(command: string, env: Record<string, string> = {}): Promise<CliResult> {
    const words = [command, '-C', bench.source, '--passfile', bench.passfile, bench.copy];
    return ecsync(words, { env });
  }

  it('is sent by the push after one that was killed at a write of its memory', async () => {
    // The mark at the start of a push, the memory of a completed push, and what is written after
    // that.
    for (let at = 1; at <= 3; at++) {
      writeFileSync(edited, `version ${at}`);
      // The second of this edit lasts until the push is over, however long that takes.
      const second = Math.floor(Date.now() / 1000) + 3600 + at;
      utimesSync(edited, second, second);
      const env = { NODE_OPTIONS: `--import ${HOOK}`, STALE_AT: String(at), STALE_FILE: edited };
      const { signal } = await run('push', env);
      expect(signal).toBe('SIGKILL');
      expect(readFileSync(edited, 'latin1')).toContain('edit');
      expect((await run('push')).code).toBe(0);
      const verified = await run('verify');
      expect(verified.code, `killed at write ${at}: ${verified.stdout}`).toBe(0);
    }
  });
});
