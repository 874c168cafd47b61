// Goal: commands that only read need neither the vault's lock nor a writable vault. Pushes to two
// destinations run one after the other. A killed push leaves a trace.
import { execFileSync, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ecsync, initVault, makeBench, type Bench, type CliResult } from './support/cli.ts';
import type { CliOptions } from './support/run-cli.ts';

let bench: Bench;
const at = (name: string): string => path.join(bench.dir, name);

function run(words: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return ecsync([...words, '-C', bench.source], options);
}

function keyed(words: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return run([...words, '--passfile', bench.passfile], options);
}

/** Every command that only reads, for the copy of remote `a`. */
function reading(target: string): readonly (readonly string[])[] {
  return [['restore', '--to', at(target)], ['fsck', 'a'], ['verify', 'a'], ['ls'], ['plan', 'a']];
}

/** A push to `a` that has started and waits in its hook until the gate is closed. */
async function heldPush(): Promise<{
  readonly child: ChildProcess | undefined;
  readonly gate: fs.promises.FileHandle;
  readonly result: Promise<CliResult>;
}> {
  let child: ChildProcess | undefined;
  const onStart = (started: ChildProcess): void => void (child = started);
  const result = keyed(['push', 'a'], { onStart });
  // The open resolves when the hook reads from the gate.
  const gate = await fs.promises.open(at('gate'), 'w');
  return { child, gate, result };
}

beforeAll(async () => {
  bench = await makeBench();
  fs.mkdirSync(bench.source);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', bench.source]);
  fs.writeFileSync(path.join(bench.source, 'file'), 'content');
  await initVault(bench);
  for (const name of ['a', 'b']) await run(['remote', 'add', name, at(`copy-${name}`)]);
  await keyed(['push', 'a']);
  execFileSync('mkfifo', [at('gate')]);
  const hook = `test "$ECSYNC_REMOTE" != a || cat '${at('gate')}' >/dev/null`;
  const hooks = `\n[hooks]\nbefore = ${JSON.stringify(['sh', '-c', hook])}\n`;
  fs.appendFileSync(path.join(bench.source, '.ecsync/config.toml'), hooks);
});
afterAll(async () => {
  execFileSync('umount', ['-l', bench.source]);
  await bench.remove();
});

describe('while a push is under way', { timeout: 120_000 }, () => {
  test('reading commands run, a push elsewhere waits, a second one to the same destination fails', async () => {
    const held = await heldPush();
    for (const words of reading('beside')) {
      const result = await keyed(words);
      expect(result.code).toBe(0);
      const isTold = ['restore', 'fsck', 'verify'].includes(words[0] ?? '');
      if (isTold) expect(result.stderr).toContain('a push to ');
    }
    const second = await keyed(['push', 'a']);
    expect(second).toMatchObject({ code: 11 });
    expect(second.stderr).toContain(`(push to ${at('copy-a')})`);
    expect(second.stderr).toContain('ecsync unlock');
    expect((await keyed(['push', 'b', '--no-wait'])).code).toBe(11);
    const onStart = (child: ChildProcess): void => {
      child.stderr?.once('data', () => void held.gate.close());
    };
    const elsewhere = await keyed(['push', 'b'], { onStart });
    expect(elsewhere.stderr).toContain('waiting for process');
    expect(elsewhere.code).toBe(0);
    expect((await held.result).code).toBe(0);
  });

  test('being killed leaves a trace, until the next one', async () => {
    const held = await heldPush();
    held.child?.kill('SIGKILL');
    await held.gate.close();
    await held.result;
    const log = await run(['log', '-n', '1']);
    expect(log.stdout).toMatch(/push +a +it did not end: process \d+ on .* was killed/);
    expect((await run(['status'])).code).toBe(4);
    const next = await heldPush();
    await next.gate.close();
    expect((await next.result).code).toBe(0);
    expect((await run(['status'])).code).toBe(0);
  });
});

describe.each([
  {
    what: 'read-only',
    spoil: () => execFileSync('mount', ['-o', 'remount,ro', bench.source]),
    mend: () => execFileSync('mount', ['-o', 'remount,rw', bench.source]),
  },
  {
    what: 'full',
    spoil: () => execFileSync('sh', ['-c', `cat /dev/zero >'${bench.source}/.ecsync/fill' || :`]),
    mend: () => fs.rmSync(path.join(bench.source, '.ecsync/fill')),
  },
])('with the vault on a disk that is $what', ({ what, spoil, mend }) => {
  test(
    'reading commands run; a push and doctor explain why they do not',
    { timeout: 120_000 },
    async () => {
      const before = fs.readdirSync(path.join(bench.source, '.ecsync')).sort();
      spoil();
      try {
        for (const words of reading(what)) {
          const { code, stderr } = await keyed(words);
          expect({ words, code }).toEqual({ words, code: 0 });
          if (what === 'read-only' && words[0] === 'restore') {
            expect(stderr.match(/not in the history/g)).toHaveLength(1);
          }
        }
        expect(fs.readFileSync(path.join(at(what), 'file'), 'latin1')).toBe('content');
        const pushed = await keyed(['push', 'b']);
        expect(pushed.code).toBe(10);
        expect(pushed.stderr).toMatch(/cannot make the lock .*\nhint: .*disk/);
        const doctor = await run(['doctor', '--offline']);
        expect(doctor.code).toBe(10);
        expect(doctor.stdout).toContain('cannot be written to');
      } finally {
        mend();
      }
      expect(fs.readdirSync(path.join(bench.source, '.ecsync')).sort()).toEqual(before);
    },
  );
});
