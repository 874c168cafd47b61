// Permissions, owners and kinds of objects are not authenticated, so whoever holds the copy can
// change them. A restore, even by root, must not let that make a file accessible or give rights to
// a program.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, type CliResult, ecsync, makeBench, summaryOf } from './support/cli.ts';

const STRANGER = 12345;

let bench: Bench;
/** Incremented for each test. */
let count = 0;

function fresh(name: string): string {
  return path.join(bench.dir, `${name}-${count++}`);
}

function run(...words: string[]): Promise<CliResult> {
  return ecsync([...words, '--passfile', bench.passfile], { cwd: bench.dir });
}

async function expectOk(...words: string[]): Promise<CliResult> {
  const result = await run(...words);
  expect(result.code, result.stderr).toBe(0);
  return result;
}

function modeOf(...parts: string[]): string {
  return (lstatSync(path.join(...parts)).mode & 0o7777).toString(8);
}

beforeAll(async () => {
  bench = await makeBench();
  mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
  for (const [name, mode] of [
    ['program', 0o755],
    ['key', 0o600],
    ['shared', 0o664],
    ['folder/inside', 0o644],
  ] as const) {
    writeFileSync(path.join(bench.source, name), name);
    chmodSync(path.join(bench.source, name), mode);
  }
  chmodSync(path.join(bench.source, 'folder'), 0o555);
  await expectOk('init', bench.source, '--scryptn', '10');
  await expectOk('push', '-C', bench.source, bench.copy);
});
afterAll(() => bench.remove());

/**
 * A copy held by an attacker who knows which object is which. In a plain mirror everybody knows.
 */
async function hostileCopy(kind: string): Promise<{ copy: string; at: (name: string) => string }> {
  const copy = fresh('copy');
  if (kind === 'a mirror') {
    cpSync(bench.source, copy, { recursive: true, preserveTimestamps: true });
    execFileSync('rm', ['-r', path.join(copy, '.ecsync')]);
    writeFileSync(path.join(copy, '.ecsync-mirror'), '');
    return { copy, at: (name) => path.join(copy, name) };
  }
  cpSync(bench.copy, copy, { recursive: true, preserveTimestamps: true });
  const names = ['program', 'key', 'shared', 'folder'];
  const { stdout } = await expectOk('name', 'encode', '-C', bench.source, ...names);
  const encoded = stdout.trimEnd().split('\n');
  return { copy, at: (name) => path.join(copy, encoded[names.indexOf(name)] ?? 'unknown') };
}

function restoreWords(kind: string, copy: string, target: string): string[] {
  if (kind !== 'a mirror') return ['restore', '--from', copy, '--to', target];
  const config = path.join(bench.source, '.ecsync', 'config.toml');
  const name = path.basename(copy);
  const remote = `\n[[remotes]]\nname = "${name}"\nurl = "${copy}"\nencrypt = false\n`;
  writeFileSync(config, readFileSync(config, 'utf8') + remote);
  return ['restore', '-C', bench.source, '--from', name, '--to', target];
}

describe.each(['an encrypted copy', 'a mirror'])('from %s', (kind) => {
  it('sets no set-id and sticky bits, allows nothing beyond the umask, and does not change the target', async () => {
    const { copy, at } = await hostileCopy(kind);
    chmodSync(at('program'), 0o4755);
    chmodSync(at('key'), 0o666);
    chmodSync(at('folder'), 0o3777);
    chmodSync(copy, 0o777);
    chownSync(copy, STRANGER, STRANGER);
    const target = fresh('target');
    mkdirSync(target, { mode: 0o700 });
    await expectOk(...restoreWords(kind, copy, target));
    expect({
      target: modeOf(target),
      owner: lstatSync(target).uid,
      program: modeOf(target, 'program'),
      key: modeOf(target, 'key'),
      folder: modeOf(target, 'folder'),
    }).toEqual({ target: '700', owner: 0, program: '755', key: '644', folder: '755' });
  });
});

it('reports a file that has become a device, and makes none', async () => {
  const { copy, at } = await hostileCopy('an encrypted copy');
  execFileSync('rm', ['-f', at('key')]);
  execFileSync('mknod', [at('key'), 'b', '8', '0']);
  const target = fresh('target');
  const words = ['restore', '--from', copy, '--to', target];
  const result = await run(...words, '--json');
  expect(result.code).toBe(23);
  expect(summaryOf(result).error).toMatchObject({ code: 'left-out' });
  expect(result.stderr).toContain('key is a device in the copy; it was left out');
  expect(existsSync(path.join(target, 'key'))).toBe(false);

  const said = await expectOk(...words, '--no-devices');
  expect(said.stderr).toContain('key is a device in the copy; it was left out');
  await expectOk(...words, '--devices');
  expect(lstatSync(path.join(target, 'key')).isBlockDevice()).toBe(true);
});

it('sets the modes of the copy on request', async () => {
  const target = fresh('target');
  await expectOk('restore', '--from', bench.copy, '--to', target, '--perms');
  expect([modeOf(target, 'shared'), modeOf(target, 'folder')]).toEqual(['664', '555']);
  const { copy, at } = await hostileCopy('an encrypted copy');
  chmodSync(at('program'), 0o4755);
  for (const [option, mode] of [
    ['--perms', '755'],
    ['--special-modes', '4755'],
  ] as const) {
    const other = fresh('target');
    await expectOk('restore', '--from', copy, '--to', other, option);
    expect(modeOf(other, 'program')).toBe(mode);
  }
});

it('gives new objects the modes of the copy, and keeps those of existing objects', async () => {
  const target = fresh('target');
  await expectOk('restore', '--from', bench.copy, '--to', target);
  const found = ['program', 'key', 'shared', 'folder', 'folder/inside'].map((name) =>
    modeOf(target, name),
  );
  expect(found).toEqual(['755', '600', '644', '555', '644']);
  chmodSync(path.join(target, 'shared'), 0o600);
  const { stdout } = await expectOk('restore', '--from', bench.copy, '--to', target, '-i');
  expect(stdout).toBe('');
  expect(modeOf(target, 'shared')).toBe('600');
});

it('does not put new content under the set-id bit of an old file', async () => {
  const target = fresh('target');
  mkdirSync(target);
  writeFileSync(path.join(target, 'program'), 'an older one');
  chmodSync(path.join(target, 'program'), 0o4755);
  await expectOk('restore', '--from', bench.copy, '--to', target, '--overwrite', 'changed');
  expect(readFileSync(path.join(target, 'program'), 'utf8')).toBe('program');
  expect(modeOf(target, 'program')).toBe('755');
});

it('follows the same rules in a clone', async () => {
  const { copy, at } = await hostileCopy('an encrypted copy');
  chmodSync(at('program'), 0o6777);
  const clone = fresh('clone');
  await expectOk('clone', copy, clone);
  expect(modeOf(clone, 'program')).toBe('755');
});

it('makes no vault of a clone from which a device was left out', async () => {
  const { copy, at } = await hostileCopy('an encrypted copy');
  renameSync(at('key'), fresh('away'));
  execFileSync('mknod', [at('key'), 'c', '1', '3']);
  const clone = fresh('clone');
  expect((await run('clone', copy, clone)).code).toBe(23);
  expect(readdirSync(clone)).not.toContain('.ecsync');
});
