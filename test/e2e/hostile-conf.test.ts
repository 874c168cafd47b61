// A copy's gocryptfs.conf is written by whoever holds the copy. Its claims about names decide what
// a restore writes and what a later push stores in clear, so no command may believe them without
// proof.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, type CliResult, ecsync, makeBench } from './support/cli.ts';
import { fsck, withMount } from './support/stock.ts';

type Json = Record<string, unknown> & { FeatureFlags: string[] };

let bench: Bench;
let honest: string;
/** Incremented for each test. */
let count = 0;
const pass = (): string[] => ['--passfile', bench.passfile];

beforeAll(async () => {
  bench = await makeBench();
  honest = path.join(bench.dir, 'honest');
  mkdirSync(path.join(bench.source, 'ssh'), { recursive: true });
  writeFileSync(path.join(bench.source, 'ssh', 'id'), 'secret');
  writeFileSync(path.join(bench.source, 'letter.txt'), 'dear');
  await expectOk('init', bench.source, '--scryptn', '10', ...pass());
  await expectOk('push', '-C', bench.source, ...pass(), honest);
});
afterAll(() => bench.remove());

function run(...words: string[]): Promise<CliResult> {
  return ecsync(words, { cwd: bench.dir });
}

async function expectOk(...words: string[]): Promise<CliResult> {
  const result = await run(...words);
  expect(result.code, result.stderr).toBe(0);
  return result;
}

function fresh(name: string): string {
  return path.join(bench.dir, `${name}-${count++}`);
}

function editConf(copy: string, edit: (conf: Json) => void): void {
  const file = path.join(copy, 'gocryptfs.conf');
  const conf = JSON.parse(readFileSync(file, 'utf8')) as Json;
  edit(conf);
  chmodSync(file, 0o600);
  writeFileSync(file, JSON.stringify(conf));
}

function hostileCopy(edit: (conf: Json) => void): string {
  const copy = fresh('hostile');
  cpSync(honest, copy, { recursive: true, preserveTimestamps: true });
  editConf(copy, edit);
  return copy;
}

/** The attack of a hostile server, which can then choose names. */
function plainNames(conf: Json): void {
  conf.FeatureFlags = ['HKDF', 'GCMIV128', 'PlaintextNames'];
}
function unsealed(edit: (conf: Json) => void): (conf: Json) => void {
  return (conf) => {
    delete conf['EcsyncSeal'];
    edit(conf);
  };
}

function codeOf({ stdout }: CliResult): unknown {
  const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { error?: object };
  return { ...last.error };
}

/** Every command that opens a copy by its own conf. */
const COMMANDS: Readonly<Record<string, (copy: string, target: string) => string[]>> = {
  'restore --from': (copy, target) => ['restore', '--from', copy, '--to', target],
  'restore --from by another rsync': (copy, target) => [
    ...['restore', '--rsync-path', 'rsync', '--from', copy, '--to', target],
  ],
  clone: (copy, target) => ['clone', copy, target],
  adopt: (copy, target) => ['adopt', copy, target],
  ls: (copy) => ['ls', '--from', copy],
  cat: (copy) => ['cat', '--from', copy, 'letter.txt'],
  fsck: (copy) => ['fsck', copy],
};

/**
 * Runs one command on a copy whose conf was edited. It fails as expected, and nothing is written.
 */
async function expectRefused(
  name: string,
  edit: (conf: Json) => void,
  [exitCode, code]: readonly [number, string],
): Promise<void> {
  const copy = hostileCopy(edit);
  const target = fresh('target');
  if (name === 'adopt') cpSync(path.join(bench.source, 'ssh'), target, { recursive: true });
  const words = COMMANDS[name]?.(copy, target) ?? [];
  const result = await run(...words, ...pass(), '--json');
  expect([result.code, codeOf(result)], result.stderr).toMatchObject([exitCode, { code }]);
  expect(existsSync(target) ? readdirSync(target) : []).toEqual(name === 'adopt' ? ['id'] : []);
  expect(readdirSync(copy)).toEqual(readdirSync(honest));
}

it.each(Object.keys(COMMANDS))(
  '%s refuses plaintext names that nothing proves, and nothing is written',
  (name) => expectRefused(name, unsealed(plainNames), [10, 'layout-unproven']),
);

it.each(['restore --from', 'clone', 'adopt', 'ls'])(
  '%s refuses flags that differ from their seal, and nothing is written',
  (name) => expectRefused(name, plainNames, [26, 'conf-seal-wrong']),
);

describe('a conf without a seal', () => {
  it('opens with the layout of a plain gocryptfs -init, and the missing seal is reported', async () => {
    const copy = hostileCopy(unsealed(() => undefined));
    const clone = fresh('clone');
    const { stderr } = await expectOk('clone', copy, clone, ...pass());
    expect(stderr).toContain(
      'AES-GCM; names encrypted; over 255 characters hashed (its gocryptfs.conf has no seal)',
    );
    expect(readFileSync(path.join(clone, 'ssh', 'id'), 'utf8')).toBe('secret');
  });
});

it('a master key that has not sealed the conf is refused before anything is read with it', async () => {
  const result = await ecsync(['ls', '--from', honest, '--masterkey=stdin', '--json'], {
    cwd: bench.dir,
    input: '07'.repeat(32),
  });
  expect([result.code, codeOf(result)]).toMatchObject([12, { code: 'wrong-masterkey' }]);
});

it('a clone detects another conf when it reads it for the second time', async () => {
  const copy = hostileCopy(() => undefined);
  const evil = path.join(hostileCopy(unsealed(plainNames)), 'gocryptfs.conf');
  // The second run of rsync fetches the content. Adopting reads the conf after that.
  const script = fresh('rsync');
  writeFileSync(
    script,
    `#!/bin/sh\necho >>${script}.runs\n[ $(wc -l <${script}.runs) -lt 2 ] || cp -f ${evil} ${copy}/gocryptfs.conf\nexec rsync "$@"\n`,
    { mode: 0o755 },
  );
  const clone = fresh('clone');
  const result = await run('clone', copy, clone, '--rsync-path', script, ...pass(), '--json');
  expect([result.code, codeOf(result)], result.stderr).toMatchObject([
    10,
    { code: 'conf-changed' },
  ]);
  expect(readdirSync(clone)).not.toContain('.ecsync');
});

it('an option that contradicts the conf is refused', async () => {
  const result = await run('ls', '--from', honest, '--plaintextnames', ...pass(), '--json');
  expect([result.code, codeOf(result)]).toMatchObject([2, { code: 'layout-differs' }]);
});

describe('a vault with plaintext names', () => {
  it('is restored by its seal, which stock ignores and -passwd drops', async () => {
    const source = fresh('plain');
    const copy = fresh('plain-copy');
    cpSync(path.join(bench.source, 'ssh'), source, { recursive: true });
    await expectOk('init', source, '--scryptn', '10', '--plaintextnames', ...pass());
    await expectOk('push', '-C', source, ...pass(), copy);
    const target = fresh('target');
    await expectOk('restore', '--from', copy, '--to', target, ...pass());
    expect(readFileSync(path.join(target, 'id'), 'utf8')).toBe('secret');

    expect(execFileSync('gocryptfs', ['-info', copy]).toString()).toContain('PlaintextNames');
    expect(await fsck(copy, bench.passfile)).toMatchObject({ code: 0 });
    const names = await withMount(copy, bench.passfile, (mountpoint) =>
      Promise.resolve(readdirSync(mountpoint)),
    );
    expect(names).toContain('id');

    const words = ['-q', '-nosyslog', '-passwd', '-passfile', bench.passfile, copy];
    execFileSync('gocryptfs', words, { stdio: ['ignore', 'ignore', 'pipe'] });
    expect(readFileSync(path.join(copy, 'gocryptfs.conf'), 'utf8')).not.toContain('EcsyncSeal');
    rmSync(target, { recursive: true });
    const refused = await run('restore', '--from', copy, '--to', target, ...pass());
    expect(refused.code).toBe(10);
    expect(refused.stderr).toContain('--plaintextnames');
    const told = ['--plaintextnames', '--to', target, ...pass()];
    await expectOk('restore', '--from', copy, ...told);
    expect(readFileSync(path.join(target, 'id'), 'utf8')).toBe('secret');
  });
});

describe('a conf that makes a password costly', () => {
  const costly = (logN: number, p: number) =>
    hostileCopy((conf) => {
      Object.assign(conf['ScryptObject'] as object, { N: 2 ** logN, P: p });
    });

  it('is refused if nobody can be asked', async () => {
    const result = await run('ls', '--from', costly(16, 2), ...pass(), '--json');
    expect([result.code, codeOf(result)]).toMatchObject([10, { code: 'scrypt-cost-unagreed' }]);
    expect(result.stderr).toContain('--scryptn 17');
  });

  it('is tried if the cost was accepted', async () => {
    const result = await run('ls', '--from', costly(11, 4), '--scryptn', '13', ...pass());
    expect(result.code).toBe(12); // the key was wrapped at another cost
  });

  it('can be interrupted at once', async () => {
    const words = ['ls', '--from', costly(16, 16), '--scryptn', '22', ...pass()];
    const result = await ecsync(words, {
      cwd: bench.dir,
      onStart: (child) => {
        const timer = setInterval(() => {
          if (child.exitCode !== null || child.signalCode !== null) clearInterval(timer);
          else if (threadTicks(child.pid ?? 0) > 30) child.kill('SIGINT');
        }, 20);
      },
    });
    // Ended by the signal, without waiting for the thread. A shell shows 130.
    expect([result.code, result.signal, result.stderr]).toEqual([
      null,
      'SIGINT',
      expect.any(String),
    ]);
    expect(result.stderr).toContain('interrupted');
  });
});

/** Processor time, in ticks of 10 ms, of the busiest thread beside the main one. */
function threadTicks(pid: number): number {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`).filter((task) => task !== String(pid));
    const ticks = tasks.map((task) =>
      Number(readFileSync(`/proc/${pid}/task/${task}/stat`, 'latin1').split(' ')[13]),
    );
    return Math.max(0, ...ticks);
  } catch {
    return 0;
  }
}
