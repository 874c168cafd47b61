import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LockedError } from '../../../src/errors.ts';
import { acquireLock, lockHolder } from '../../../src/vault/lock/lock.ts';
import { acquireLockPatiently } from '../../../src/vault/lock/lock-wait.ts';
import { buildSources } from '../../cli/support/built.ts';

// One holder at a time, between real processes; exactly one process succeeds a dead holder.

const built = buildSources();
const lockModule = pathToFileURL(path.join(built, 'dist/vault/lock.js')).href;
afterAll(() => rmSync(built, { recursive: true }));

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'ecsync-lock-'));
  file = path.join(folder, 'lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

function held(): LockedError {
  try {
    acquireLock(file).release();
  } catch (error) {
    if (error instanceof LockedError) return error;
    throw error;
  }
  throw new Error('the lock was free');
}

/** A process that takes the lock, says so, and waits for its standard input to end. */
function holder(wrapper: readonly string[] = []): ReturnType<typeof spawn> {
  const script = `
    import { acquireLock } from ${JSON.stringify(lockModule)};
    try {
      acquireLock(${JSON.stringify(file)});
      process.stdout.write('got it\\n');
    } catch (error) { process.stdout.write(error.code + '\\n'); }
    process.stdin.resume();
  `;
  const words = [...wrapper, process.execPath, '--input-type=module', '-e', script];
  const [program = '', ...rest] = words;
  return spawn(program, rest, {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

async function answer(child: ReturnType<typeof spawn>): Promise<string> {
  if (child.stdout === null) throw new Error('no standard output');
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return chunk.toString().trim();
}

async function end(child: ReturnType<typeof spawn>, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'close');
  child.kill(signal);
  await ended;
}

describe('acquireLock()', () => {
  it('gives the lock to one process and tells the others which', async () => {
    const child = holder();
    expect(await answer(child)).toBe('got it');
    const error = held();
    expect(error.exitCode).toBe(11);
    expect(error.facts['pid']).toBe(child.pid);
    expect(error.message).toMatch(/process \d+ since \d{4}-/);
    expect(error.message).toContain(file);
    expect(error.hint).toContain('ecsync unlock');
    child.stdin?.end();
    await once(child, 'close');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('can be taken again after release, and release may be repeated', () => {
    const first = acquireLock(file);
    expect(held().facts['pid']).toBe(process.pid);
    first.release();
    const second = acquireLock(file);
    first.release();
    expect(held().facts['pid']).toBe(process.pid);
    second.release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('takes over from a process that was killed', async () => {
    const child = holder();
    await answer(child);
    await end(child, 'SIGKILL');
    const lock = acquireLock(file);
    expect(readdirSync(folder)).toEqual(['lock']);
    lock.release();
  });

  it('lets exactly one of many processes succeed a dead one', async () => {
    const dead = holder();
    await answer(dead);
    await end(dead, 'SIGKILL');
    const rivals = Array.from({ length: 6 }, holder);
    const answers = await Promise.all(rivals.map(answer));
    expect(answers.filter((text) => text === 'got it')).toHaveLength(1);
    expect(answers.filter((text) => text === 'locked')).toHaveLength(5);
    await Promise.all(rivals.map((rival) => end(rival, 'SIGKILL')));
    expect(readdirSync(folder)).toEqual(['lock']);
  });

  it('does not mistake a reused process id for the holder', () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const lock = acquireLock(file);
    const text = readFileSync(file, 'utf8');
    lock.release();
    writeFileSync(file, text.replace(/"pid":\d+/, '"pid":1'));
    acquireLock(file).release(); // process 1 lives, but did not start when the holder did
    writeFileSync(file, text.replace(/"pid":\d+/, `"pid":${pid}`));
    acquireLock(file).release();
  });

  /** The text of a lock that this process holds. */
  const ownText = (): string => {
    const lock = acquireLock(file);
    const text = readFileSync(file, 'utf8');
    lock.release();
    return text;
  };
  const elsewhere = (text: string): string =>
    text
      .replace(/"host":"[^"]*"/, '"host":"elsewhere"')
      .replace(/"pidSpace":"[^ "]*/, '"pidSpace":"other-boot');

  it('finds the process, even if the host was renamed', () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const renamed = ownText().replace(/"host":"[^"]*"/, '"host":"laptop-at-home"');
    writeFileSync(file, renamed);
    expect(held().message).toContain('on laptop-at-home');
    writeFileSync(file, renamed.replace(/"pid":\d+/, `"pid":${pid}`));
    acquireLock(file).release();
  });

  it('respects an invisible holder until its lease has expired', () => {
    writeFileSync(file, elsewhere(ownText()));
    expect(held().message).toContain('on elsewhere');
    expect(lockHolder(file)).toMatchObject({ isGone: false, isElsewhere: true });
    const longAgo = Date.now() / 1000 - 61;
    utimesSync(file, longAgo, longAgo);
    expect(lockHolder(file)).toMatchObject({ isGone: true });
    acquireLock(file).release();
    // A holder that does not renew its lock, as in older releases, is respected for ever.
    writeFileSync(file, elsewhere(ownText()).replace(/"leaseSec":\d+/, '"leaseSec":0'));
    utimesSync(file, longAgo, longAgo);
    expect(held().message).toContain('on elsewhere');
  });

  const patience = {
    waitMs: () => 0,
    signal: new AbortController().signal,
    onWait: () => undefined,
  };
  const shortLease = (text: string): string => text.replace(/"leaseSec":\d+/, '"leaseSec":1');

  it('watches an invisible holder independent of the clocks', async () => {
    writeFileSync(file, shortLease(elsewhere(ownText())));
    const inFuture = Date.now() / 1000 + 86_400;
    utimesSync(file, inFuture, inFuture);
    expect(held().message).toContain('on elsewhere');
    (await acquireLockPatiently(file, patience)).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('does not take over from a holder on another machine that renews its lease', async () => {
    writeFileSync(file, shortLease(elsewhere(ownText())));
    let beats = 0;
    const heart = setInterval(() => utimesSync(file, 1_900_000_000, 1_900_000_000 + beats++), 50);
    await expect(acquireLockPatiently(file, patience)).rejects.toThrow('on elsewhere');
    clearInterval(heart);
  });

  it('takes over from a killed container, and not from a running one', async () => {
    const child = holder(['unshare', '--pid', '--uts', '--fork', '--kill-child']);
    expect(await answer(child)).toBe('got it');
    expect(lockHolder(file)).toMatchObject({ pid: 1, isGone: false });
    const inside = readFileSync(file, 'utf8');
    await expect(
      acquireLockPatiently(file, { ...patience, signal: AbortSignal.timeout(1500) }),
    ).rejects.toThrow();
    await end(child, 'SIGKILL');
    writeFileSync(file, shortLease(inside));
    (await acquireLockPatiently(file, patience)).release();
  });

  it('waits for a running holder, and notifies a holder that loses the lock', async () => {
    const child = holder();
    await answer(child);
    const waitedFor: number[] = [];
    const taking = acquireLockPatiently(file, {
      ...patience,
      waitMs: () => Infinity,
      onWait: ({ pid }) => {
        waitedFor.push(pid);
        child.stdin?.end();
      },
    });
    const lock = await taking;
    expect(waitedFor).toEqual([child.pid]);
    expect(lock.lost.aborted).toBe(false);
    lock.release();
  });

  it.each(['', '{', 'null', '[]', '{"pid":-1}', '{"pid":"x","id":"../../x"}'])(
    'takes over from a lock file that says nothing: %j',
    (text) => {
      writeFileSync(file, text);
      acquireLock(file).release();
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  it('finishes the succession of a successor that died in the middle', () => {
    const lock = acquireLock(file);
    const text = readFileSync(file, 'utf8');
    lock.release();
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const dead = (id: string): string =>
      text.replace(/"pid":\d+/, `"pid":${pid}`).replace(/"id":"[0-9a-f]*"/, `"id":"${id}"`);
    writeFileSync(file, dead('aa'));
    writeFileSync(`${file}.after-aa`, dead('bb'));
    const heir = acquireLock(file);
    expect(readdirSync(folder)).toEqual(['lock']);
    heir.release();
  });

  it('removes files that killed processes left beside it, and nothing else', () => {
    const lock = acquireLock(file);
    const text = readFileSync(file, 'utf8');
    lock.release();
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const id = 'ab'.repeat(12);
    const dead = text.replace(/"pid":\d+/, `"pid":${pid}`);
    writeFileSync(`${file}.${id}.tmp`, dead);
    writeFileSync(`${file}.after-${id}`, dead);
    writeFileSync(`${file}.${'cd'.repeat(12)}.tmp`, text); // of this process: it lives
    writeFileSync(`${file}.txt`, '');
    acquireLock(file).release();
    expect(readdirSync(folder).sort()).toEqual([`lock.${'cd'.repeat(12)}.tmp`, 'lock.txt']);
  });

  it.each(['a folder', 'a link to nothing', 'a link to itself', 'a pipe'])(
    'says that %s is in its place',
    (what) => {
      if (what === 'a folder') mkdirSync(file);
      else if (what === 'a pipe') execFileSync('mkfifo', [file]);
      else symlinkSync(what === 'a link to itself' ? 'lock' : 'nothing', file);
      expect(() => acquireLock(file)).toThrow(`${file} is in the way`);
      expect(lockHolder(file)).toMatchObject({ pid: 0, isGone: true });
      expect(readdirSync(folder)).toEqual(['lock']);
    },
  );

  it('leaves nothing when it cannot be written', () => {
    const script = `
      import { acquireLock } from ${JSON.stringify(lockModule)};
      try { acquireLock(${JSON.stringify(file)}); } catch (error) { process.stdout.write(error.code); }
    `;
    const full = `trap '' XFSZ; ulimit -f 0; "$0" --input-type=module -e "$1"`;
    const { stdout } = spawnSync('bash', ['-c', full, process.execPath, script], {
      encoding: 'utf8',
    });
    expect(stdout).toBe('lock-failed');
    expect(readdirSync(folder)).toEqual([]);
  });
});
