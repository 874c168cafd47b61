// Goal: a copy and whatever lies in its folder that no push of it has written never harm each other: a new copy inside another one is refused, and what got there all the same survives every `--delete`.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench, summaryOf } from './support/cli.ts';
import { fsck } from './support/stock.ts';

let bench: Bench;
let sshd: RunningSshd;
beforeAll(async () => {
  bench = await makeBench();
  mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
  for (const name of ['one', 'folder/two']) writeFileSync(path.join(bench.source, name), name);
  await initVault(bench);
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd.stop();
  await bench.remove();
});

const inside = (...names: string[]): string => path.join(bench.dir, ...names);
const overSsh = (folder: string): string => `ssh://${sshd.user}@127.0.0.1:${sshd.port}${folder}`;

async function run(...words: string[]) {
  const where = ['-C', bench.source, '--passfile', bench.passfile, '--json'];
  const result = await ecsync([...words, ...where], { env: { HOME: sshd.home } });
  return { ...result, error: summaryOf(result).error };
}

/** Another vault's copy, and somebody's photos. */
async function strangersIn(folder: string): Promise<void> {
  const other = inside('other');
  if (!existsSync(other)) {
    mkdirSync(other);
    for (let i = 0; i < 100; i++) writeFileSync(path.join(other, `file ${i}`), `${i}`);
    const key = ['--passfile', bench.passfile];
    expect(await ecsync(['init', other, '--scryptn', '10', ...key])).toMatchObject({ code: 0 });
    expect(await ecsync(['push', '-C', other, ...key, inside('other-copy')])).toMatchObject({
      code: 0,
    });
  }
  cpSync(inside('other-copy'), path.join(folder, 'laptop'), { recursive: true });
  mkdirSync(path.join(folder, 'photos'));
  for (let i = 0; i < 100; i++) writeFileSync(path.join(folder, 'photos', `IMG_${i}.jpg`), 'photo');
  writeFileSync(path.join(folder, 'a note that somebody has left here.txt'), 'note');
}

describe('what others have put into a copy since', () => {
  it.each([
    ['a local folder', (folder: string) => folder],
    ['ssh', overSsh],
  ])('survives every --delete, in %s', { timeout: 60_000 }, async (kind, address) => {
    const copy = inside(`copy-${kind}`);
    const push = ['push', '--delete', address(copy)];
    expect(await run(...push)).toMatchObject({ code: 0 });
    // The second push has found nothing of others there, and asks no more.
    expect(await run(...push)).toMatchObject({ code: 0 });
    await strangersIn(copy);
    rmSync(path.join(bench.source, 'folder'), { recursive: true });
    const planned = await run('push', '-n', '--delete', address(copy));
    expect(planned).toMatchObject({ code: 0 });
    expect(planned.stdout).not.toContain('photos');
    expect(await run(...push)).toMatchObject({ code: 0 });
    expect(readdirSync(path.join(copy, 'photos'))).toHaveLength(100);
    expect(readdirSync(copy)).toContain('a note that somebody has left here.txt');
    const names = ['-r', '-q', inside('other-copy'), path.join(copy, 'laptop')];
    execFileSync('diff', names);
    expect(await fsck(path.join(copy, 'laptop'), bench.passfile)).toMatchObject({ code: 0 });
    // What the source does not have any more has gone all the same.
    expect(readdirSync(copy).filter((name) => /^[\w-]{22}$/.test(name))).toHaveLength(1);
    // A limit counts what would go.
    writeFileSync(path.join(bench.source, 'three'), 'three');
    expect(await run(...push, '--max-delete', '0')).toMatchObject({ code: 0 });
    mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
    writeFileSync(path.join(bench.source, 'folder/two'), 'two');
    rmSync(path.join(bench.source, 'three'));
  });

  it('goes when somebody who has seen it named asks for it, within the limit', async () => {
    const copy = inside('copy-removed');
    expect(await run('push', '--delete', copy)).toMatchObject({ code: 0 });
    expect(await run('push', '--delete', copy)).toMatchObject({ code: 0 });
    await strangersIn(copy);
    const repair = ['verify', '--repair', '--delete', copy];
    const seen = await run('verify', copy);
    expect(seen.stdout).toContain('photos');
    const refused = await run(...repair);
    expect(refused.code, refused.stderr).toBe(26);
    expect(readdirSync(path.join(copy, 'photos'))).toHaveLength(100);
    rmSync(path.join(copy, 'laptop'), { recursive: true });
    for (let i = 10; i < 100; i++) rmSync(path.join(copy, 'photos', `IMG_${i}.jpg`));
    expect(await run(...repair)).toMatchObject({ code: 0 });
    expect(existsSync(path.join(copy, 'photos'))).toBe(false);
    expect(await fsck(copy, bench.passfile)).toMatchObject({ code: 0 });
  });
});

describe('a new copy', () => {
  beforeAll(async () => {
    expect(await run('push', inside('outer'))).toMatchObject({ code: 0 });
    mkdirSync(inside('mirror/deep'), { recursive: true });
    writeFileSync(inside('mirror/.ecsync-mirror'), '');
  });

  it.each([
    ['inside another one', 'outer/inner'],
    ['inside a mirror', 'mirror/inner'],
    ['deep inside a mirror', 'mirror/deep/inner'],
  ])('%s is refused', async (_where, folder) => {
    const refused = await run('push', inside(folder));
    expect(refused).toMatchObject({ code: 10, error: { code: 'destination-nested' } });
    expect(refused.error?.message).toContain(inside(path.dirname(folder).split('/')[0] ?? ''));
    expect(existsSync(inside(folder))).toBe(false);
  });

  it.each(['outer/inner', 'mirror/inner'])('over ssh, in %s, as well', async (folder) => {
    const refused = await run('push', overSsh(inside(folder)));
    expect(refused).toMatchObject({ code: 10, error: { code: 'destination-nested' } });
    expect(existsSync(inside(folder))).toBe(false);
  });

  it('that is a mirror is refused inside an encrypted one', async () => {
    const add = ['remote', 'add', '--no-encrypt', 'plain', inside('outer/mirror')];
    const words = ['-C', bench.source];
    expect(await ecsync([...add, ...words])).toMatchObject({ code: 0 });
    const refused = await run('push', 'plain');
    expect(refused).toMatchObject({ code: 10, error: { code: 'destination-nested' } });
    expect(await ecsync(['remote', 'remove', 'plain', ...words])).toMatchObject({ code: 0 });
  });

  it('is made inside a vault directory, which has a conf as well', async () => {
    const vault = inside('elsewhere');
    mkdirSync(inside('plain'));
    writeFileSync(inside('plain/file'), 'file');
    const key = ['--passfile', bench.passfile];
    const init = ['init', inside('plain'), '--vault-dir', vault, '--scryptn', '10', ...key];
    expect(await ecsync(init)).toMatchObject({ code: 0 });
    const push = ['push', '--vault-dir', vault, ...key];
    for (const address of [path.join(vault, 'copy'), overSsh(path.join(vault, 'copy2'))]) {
      const pushed = await ecsync([...push, address], { env: { HOME: sshd.home } });
      expect(pushed.code, pushed.stderr).toBe(0);
    }
  });

  it('is made there when somebody says so', async () => {
    const pushed = await run('push', '--into-non-empty', inside('mirror/inner'));
    expect(pushed).toMatchObject({ code: 0 });
  });
});
