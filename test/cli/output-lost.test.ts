import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSources } from './support/built.ts';
import { Cli } from './support/cli.ts';

// What is printed and cannot be stored is an error; that nobody reads it, or hears of it, is none.

let built: string;
let main: string;
let dir: string;

beforeAll(async () => {
  built = buildSources();
  const cli = new Cli(built);
  ({ main } = cli);
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-output-'));
  writeFileSync(at('pw'), 'secret\n', { mode: 0o600 });
  await cli.run(['init', at('source'), '--scryptn', '10', '--passfile', at('pw')]);
  writeFileSync(at('source/file'), 'content');
});
afterAll(() => {
  for (const folder of [dir, built]) rmSync(folder, { recursive: true, force: true });
});

const at = (name: string): string => path.join(dir, name);

/** Runs a line of a shell in which `ecsync` is the built command. */
function shell(line: string): { status: number | null; stderr: string } {
  const text = `ecsync() { '${process.execPath}' '${main}' "$@"; }\n${line}`;
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', LC_ALL: 'C.UTF-8' };
  const { status, stderr } = spawnSync('bash', ['-c', text], { cwd: dir, env, encoding: 'utf8' });
  return { status, stderr };
}

describe('standard output on a full disk', () => {
  it.each([
    '--version',
    'completion bash',
    'key paper -C source --passfile ../pw',
    'config show -C source',
    'push -C source ../copy --passfile ../pw --json',
  ])('ends `%s` as an error', (words) => {
    const { status, stderr } = shell(`ecsync ${words} > /dev/full`);
    expect(status).toBe(23);
    expect(stderr).toContain('ecsync: cannot write standard output: no space left on device');
  });

  it('is an error also when the file took a part', () => {
    const limited = `trap '' XFSZ; ulimit -f 1; ecsync completion bash > taken`;
    expect(shell(limited)).toMatchObject({
      status: 23,
      stderr: expect.stringContaining('cannot write standard output: file too large') as string,
    });
    expect(statSync(at('taken')).size).toBe(1024);
  });
});

describe('what nobody reads', () => {
  it('is no error', () => {
    const gone = shell(`ecsync completion bash | true; exit "\${PIPESTATUS[0]}"`);
    expect(gone).toEqual({ status: 0, stderr: '' });
    expect(shell('ecsync completion bash >&-')).toEqual({ status: 0, stderr: '' });
  });

  it.each(['2> /dev/full', '2>&-', '< /dev/null > /dev/null 2>&-'])(
    'does not keep a push from going on: %s',
    (redirected) => {
      rmSync(at('copy'), { recursive: true, force: true });
      const { status } = shell(
        `ecsync push -v -C source ../copy --new-copy --passfile ../pw ${redirected}`,
      );
      expect(status).toBe(0);
      expect(existsSync(at('copy/gocryptfs.conf'))).toBe(true);
    },
  );
});

it('says that the current folder is gone', () => {
  mkdirSync(at('gone'));
  const { status, stderr } = shell('cd gone; rmdir ../gone; ecsync status');
  expect(status).toBe(23);
  expect(stderr).toMatch(/^ecsync: the current folder does not exist any more\nhint: .*\n$/);
});
