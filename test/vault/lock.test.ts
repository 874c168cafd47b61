import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LockedError } from '../../src/errors.ts';
import { acquireLock } from '../../src/vault/lock.ts';
import { buildSources } from '../cli/support/built.ts';

// One holder at a time, between real processes; a dead one is succeeded by exactly one.

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
function holder(): ReturnType<typeof spawn> {
  const script = `
    import { acquireLock } from ${JSON.stringify(lockModule)};
    try {
      acquireLock(${JSON.stringify(file)});
      process.stdout.write('got it\\n');
    } catch (error) { process.stdout.write(error.code + '\\n'); }
    process.stdin.resume();
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
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
  it('gives the lock to one process and names it to the others', async () => {
    const child = holder();
    expect(await answer(child)).toBe('got it');
    const error = held();
    expect(error.exitCode).toBe(11);
    expect(error.facts['pid']).toBe(child.pid);
    expect(error.message).toMatch(/process \d+ since \d{4}-/);
    expect(error.hint).toContain(file);
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

  it('does not take a reused process id for the holder', () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const lock = acquireLock(file);
    const text = readFileSync(file, 'utf8');
    lock.release();
    writeFileSync(file, text.replace(/"pid":\d+/, '"pid":1'));
    acquireLock(file).release(); // process 1 lives, but did not start when the holder did
    writeFileSync(file, text.replace(/"pid":\d+/, `"pid":${pid}`));
    acquireLock(file).release();
  });

  it('respects a holder on another machine, and forgets one of an earlier boot', () => {
    const lock = acquireLock(file);
    const text = readFileSync(file, 'utf8');
    lock.release();
    writeFileSync(file, text.replace(/"host":"[^"]*"/, '"host":"elsewhere"'));
    expect(held().message).toContain('on elsewhere');
    writeFileSync(file, text.replace(/"pidSpace":"[^ "]*/, '"pidSpace":"other-boot'));
    acquireLock(file).release();
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
});
