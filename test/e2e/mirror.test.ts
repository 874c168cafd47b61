// Goal: a remote with `encrypt = false` gets the folder unencrypted, from the same engine, without
// a password. A plain mirror and an encrypted copy never share a folder.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import {
  type Bench,
  type CliResult,
  ecsync,
  initVault,
  type JsonSummary,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeHardTree } from './support/hard-tree.ts';

const MARKER = '.ecsync-mirror';
const IGNORED = { ignore: ['.ecsync'], nanoseconds: false };

let sshd: RunningSshd;
let bench: Bench;
beforeAll(async () => {
  sshd = await startSshd();
}, 60_000);
afterAll(() => sshd.stop());
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(bench.source);
  await initVault(bench);
});
afterEach(() => bench.remove());

const at = (...names: string[]): string => path.join(bench.source, ...names);
const overSsh = (copy: string): string => `ssh://${sshd.user}@127.0.0.1:${sshd.port}${copy}`;

/** No password is available: not in an option, not in a variable, and nobody can be asked. */
function run(...words: string[]): Promise<CliResult> {
  const [command = '', ...rest] = words;
  return ecsync([command, '-C', bench.source, ...rest], { env: { HOME: sshd.home } });
}

function withPassword(...words: string[]): Promise<CliResult> {
  return run(...words, '--passfile', bench.passfile);
}

async function addMirror(url: string): Promise<void> {
  const added = await ecsync(['remote', 'add', '-C', bench.source, '--no-encrypt', 'disk', url]);
  expect(added.code).toBe(0);
}

async function pushed(...words: string[]): Promise<JsonSummary> {
  const result = await run('push', '--json', ...words);
  expect(result.stderr).toBe('');
  expect(result.code, result.stdout).toBe(0);
  return summaryOf(result);
}

/** The mirror has the content of the source, and the marker. */
function expectMirrored(copy = bench.copy): void {
  expect(readFileSync(path.join(copy, MARKER), 'utf8')).toContain('not');
  const marker = path.join(copy, MARKER);
  const aside = path.join(bench.dir, 'marker');
  const { atime, mtime } = statSync(copy);
  renameSync(marker, aside);
  utimesSync(copy, atime, mtime);
  const found = differences(bench.source, copy, { ...IGNORED, links: true });
  renameSync(aside, marker);
  utimesSync(copy, atime, mtime);
  expect(found).toEqual([]);
}

describe.each([
  ['a local folder', (copy: string) => copy, [] as string[]],
  ['a local folder, by its rsync', (copy: string) => copy, ['--rsync-path', 'rsync']],
  ['a stock rsync over ssh', overSsh, []],
  ['protocol 29', overSsh, ['--protocol', '29']],
])('a mirror in %s', (_where, urlOf, more) => {
  it('equals the folder, costs nothing when nothing changed, and follows with --delete', async () => {
    makeHardTree(bench.source);
    for (const name of ['gocryptfs.conf', 'gocryptfs.diriv']) rmSync(at(name));
    utimesSync(at('sizes', '15'), 0, 0); // protocol 29 cannot carry a time after 2038
    await addMirror(urlOf(bench.copy));
    const options = ['-H', ...more];
    const first = await pushed(...options);
    expect(first.filesSent).toBeGreaterThan(300);
    expectMirrored();

    const again = await pushed(...options);
    expect(again).toMatchObject({ filesSent: 0, literalBytes: 0, filesDeleted: 0 });

    const large = at('large');
    writeFileSync(large, randomBytes(3_000_000));
    utimesSync(large, 1_600_000_000, 1_600_000_000);
    await pushed(...options);
    // At the start: only a matcher that looks at every offset finds the rest.
    const content = readFileSync(large);
    writeFileSync(large, Buffer.concat([Buffer.from('inserted'), content]));
    expect((await pushed(...options)).literalBytes).toBeLessThan(10_000);
    expectMirrored();

    rmSync(at('names'), { recursive: true });
    const kept = await pushed(...options);
    expect(kept.filesDeleted).toBe(0);
    const gone = await pushed(...options, '--delete', '--max-delete', '100%');
    expect(gone.filesDeleted).toBeGreaterThan(250);
    expectMirrored();
    expect(existsSync(path.join(bench.copy, 'names'))).toBe(false);
    // No temporary directory, and no unfinished files.
    expect(readdirSync(bench.copy).filter((name) => name.includes('ecsync'))).toEqual([MARKER]);
    expect((await pushed(...options, '--delete')).filesDeleted).toBe(0);
  });

  it('is planned and verified without a password, damage included', async () => {
    writeFileSync(at('one'), 'first content');
    mkdirSync(at('folder'));
    writeFileSync(at('folder', 'two'), 'second content');
    await addMirror(urlOf(bench.copy));
    const plan = await run('plan', ...more);
    expect(plan.code, plan.stderr).toBe(0);
    expect(plan.stdout).toContain('folder/two');
    expect(existsSync(bench.copy)).toBe(false);
    await pushed(...more);

    const clean = await run('verify', ...more);
    expect(clean).toMatchObject({ code: 0, stdout: '', stderr: '' });
    // The folder's time too, so that the foreign file changes it in any second.
    const times = [1_700_000_000, 1_700_000_000] as const;
    utimesSync(at('one'), ...times);
    utimesSync(bench.source, ...times);
    await pushed(...more);
    writeFileSync(path.join(bench.copy, 'one'), 'first CONTENT');
    utimesSync(path.join(bench.copy, 'one'), ...times);
    writeFileSync(path.join(bench.copy, 'stranger'), '');
    const damaged = await run('verify', ...more);
    expect(damaged.code).toBe(26);
    expect(damaged.stdout.split('\n').filter((line) => line !== '')).toEqual([
      'attributes ./ (time)',
      'changed one',
      'extra stranger',
    ]);
    const repaired = await run('verify', '--repair', '--delete', ...more);
    expect(repaired.code, repaired.stderr).toBe(0);
    expect(readFileSync(path.join(bench.copy, 'one'), 'utf8')).toBe('first content');
    expect(existsSync(path.join(bench.copy, 'stranger'))).toBe(false);
  });
});

describe('what is left out', () => {
  it('is the same as in an encrypted copy, and is not deleted', async () => {
    for (const name of ['kept', 'left out.tmp']) writeFileSync(at(name), name);
    await addMirror(overSsh(bench.copy));
    await pushed();
    rmSync(at('kept'));
    await pushed('--exclude', '*.tmp', '--delete');
    expect(readdirSync(bench.copy).sort()).toEqual([MARKER, 'left out.tmp']);
    writeFileSync(at(MARKER), 'mine');
    const reserved = await run('push');
    expect(reserved.code).toBe(23);
    expect(reserved.stderr).toContain(
      `${MARKER}: the top folder of a mirror cannot hold this name`,
    );
  });

  it('is not deleted beyond the limit', async () => {
    for (let i = 0; i < 80; i++) writeFileSync(at(`file ${i}`), '');
    await addMirror(bench.copy);
    await pushed();
    for (let i = 0; i < 70; i++) rmSync(at(`file ${i}`));
    const stopped = await run('push', '--delete');
    expect(stopped.code).toBe(25);
    expect(readdirSync(bench.copy)).toHaveLength(81);
  });
});

describe.each([
  ['a local folder', (copy: string) => copy],
  ['a stock rsync over ssh', overSsh],
])('guards at %s', (_where, urlOf) => {
  it('no mirror goes into an encrypted copy', async () => {
    writeFileSync(at('one'), 'content');
    expect((await withPassword('push', urlOf(bench.copy))).code).toBe(0);
    const before = readdirSync(bench.copy).sort();
    await addMirror(urlOf(bench.copy));
    for (const words of [['push'], ['push', '-n'], ['plan'], ['push', '--delete']]) {
      const refused = await run(...words);
      expect(refused.code).toBe(10);
      expect(refused.stderr).toContain('holds an encrypted copy');
    }
    expect(readdirSync(bench.copy).sort()).toEqual(before);
  });

  it('no encrypted copy goes into a mirror', async () => {
    writeFileSync(at('one'), 'content');
    await addMirror(urlOf(bench.copy));
    await pushed();
    const config = at('.ecsync', 'config.toml');
    writeFileSync(config, readFileSync(config, 'utf8').replace('encrypt = false\n', ''));
    const refused = await withPassword('push');
    expect(refused.code).toBe(10);
    expect(refused.stderr).toContain('holds a plain mirror');
    expect(readdirSync(bench.copy).sort()).toEqual([MARKER, 'one']);
  });

  it('a folder with other files is taken over only if it was marked', async () => {
    writeFileSync(at('one'), 'content');
    mkdirSync(bench.copy);
    writeFileSync(path.join(bench.copy, 'one'), 'something else');
    await addMirror(urlOf(bench.copy));
    const refused = await run('push');
    expect(refused.code).toBe(10);
    expect(refused.stderr).toContain(`put an empty file named ${MARKER} into it`);
    expect(readFileSync(path.join(bench.copy, 'one'), 'utf8')).toBe('something else');
    writeFileSync(path.join(bench.copy, MARKER), '');
    await pushed();
    expect(readFileSync(path.join(bench.copy, 'one'), 'utf8')).toBe('content');
  });

  it('a lost memory of the mirror changes nothing', async () => {
    writeFileSync(at('one'), 'content');
    await addMirror(urlOf(bench.copy));
    await pushed();
    rmSync(at('.ecsync', 'index'), { recursive: true, force: true });
    appendFileSync(at('one'), ' and more');
    expect((await pushed('--delete')).filesSent).toBe(1);
  });
});

describe('a remote that is not encrypted', () => {
  it('is marked wherever remotes are shown', async () => {
    writeFileSync(at('one'), 'content');
    await addMirror(bench.copy);
    const list = await ecsync(['remote', 'list', '-C', bench.source]);
    expect(list.stdout).toBe(`disk\t${bench.copy}\tNOT ENCRYPTED\n`);
    const show = await ecsync(['config', 'show', '-C', bench.source]);
    expect(show.stdout).toContain('encrypt = false');
    expect((await run('status')).stdout).toContain('NOT ENCRYPTED');
  });

  it('is mirrored by its URL, too; any other destination is encrypted', async () => {
    writeFileSync(at('one'), 'content');
    await addMirror(bench.copy);
    await pushed(bench.copy);
    expectMirrored();
    const other = path.join(bench.dir, 'other');
    expect((await run('push', other)).code).toBe(12);
    // Two remotes at one place must both be mirrors.
    const added = await ecsync(['remote', 'add', '-C', bench.source, 'same', bench.copy]);
    expect(added.code).toBe(2);
    expect(added.stderr).toContain("is a plain mirror already, as 'disk'");
    const config = path.join(bench.source, '.ecsync/config.toml');
    appendFileSync(config, `[[remotes]]\nname = "same"\nurl = "${bench.copy}"\n`);
    expect((await run('push', 'disk')).code).toBe(12);
    expect((await withPassword('push', 'disk')).code).toBe(10);
  });

  it('explains in one sentence what to do instead of decrypting', async () => {
    writeFileSync(at('one'), 'content');
    await addMirror(bench.copy);
    await pushed();
    for (const words of [['ls'], ['cat', 'one'], ['find', '*'], ['fsck']]) {
      const refused = await run(...words);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain("'disk' is a plain mirror: there is nothing to decrypt");
    }
  });
});

describe.each([
  ['a local folder', (copy: string) => copy],
  ['a stock rsync over ssh', overSsh],
])('a restore from a mirror in %s', (_where, urlOf) => {
  let target: string;
  beforeEach(() => {
    target = path.join(bench.dir, 'target');
  });

  const restored = async (...words: string[]): Promise<JsonSummary> => {
    const result = await run('restore', '--json', '--to', target, ...words);
    expect(result.stderr).toBe('');
    expect(result.code, result.stdout).toBe(0);
    return summaryOf(result);
  };

  it('is restored completely, without a password and without the marker', async () => {
    makeHardTree(bench.source);
    for (const name of ['gocryptfs.conf', 'gocryptfs.diriv']) rmSync(at(name));
    await addMirror(urlOf(bench.copy));
    await pushed('-H');
    await restored('--special-modes');
    expect(differences(bench.source, target, { ...IGNORED, links: true })).toEqual([]);
    expect(await restored('--special-modes')).toMatchObject({ filesRestored: 0, literalBytes: 0 });
  });

  it('updates one file by its differences, and otherwise leaves differing files', async () => {
    writeFileSync(at('large'), randomBytes(2_000_000));
    writeFileSync(at('small'), 'content');
    await addMirror(urlOf(bench.copy));
    await pushed();
    mkdirSync(target);
    const edited = Buffer.concat([Buffer.from('in front'), readFileSync(at('large'))]);
    writeFileSync(path.join(target, 'large'), edited);
    const kept = await run('restore', '--to', target, at('large'));
    expect(kept.code).toBe(23);
    expect(readFileSync(path.join(target, 'large')).equals(edited)).toBe(true);
    const summary = await restored('--overwrite', 'changed', at('large'));
    expect(summary.literalBytes).toBeLessThan(10_000);
    expect(readFileSync(path.join(target, 'large')).equals(readFileSync(at('large')))).toBe(true);
    expect(readdirSync(target)).toEqual(['large']);
  });

  it('explains how to copy it back if an encrypted copy is expected', async () => {
    writeFileSync(at('one'), 'content');
    await addMirror(urlOf(bench.copy));
    await pushed();
    const env = { HOME: sshd.home };
    const passfile = ['--passfile', bench.passfile];
    const plain = path.join(bench.dir, 'plain');
    mkdirSync(plain);
    writeFileSync(path.join(plain, 'one'), 'content');
    for (const words of [
      ['clone', urlOf(bench.copy), target],
      ['restore', '--from', urlOf(bench.copy), '--to', target],
      ['ls', '--from', urlOf(bench.copy)],
      ['fsck', urlOf(bench.copy)],
      ['adopt', urlOf(bench.copy), plain],
    ]) {
      const refused = await ecsync([...words, ...passfile], { env, cwd: bench.dir });
      expect(refused.code).toBe(10);
      expect(refused.stderr).toContain('is a plain mirror: nothing in it is encrypted');
      expect(refused.stderr).toContain(`rsync -a --exclude=/${MARKER} MIRROR/ TARGET/`);
    }
    execFileSync('rsync', ['-a', `--exclude=/${MARKER}`, `${bench.copy}/`, `${target}/`]);
    expect(readdirSync(target)).toEqual(['one']);
  });

  it('refuses what is neither encrypted nor a mirror, by the vault and without one', async () => {
    mkdirSync(at('docs'));
    writeFileSync(at('docs', 'one'), 'content');
    const plain = path.join(bench.dir, 'plain');
    mkdirSync(path.join(plain, 'docs'), { recursive: true });
    writeFileSync(path.join(plain, 'docs', 'one'), 'content');
    const empty = path.join(bench.dir, 'empty');
    mkdirSync(empty);
    for (const [folder, what] of [
      [plain, 'is no encrypted copy: there is nothing to decrypt in it'],
      [empty, 'is empty: there is nothing to decrypt in it'],
    ] as const) {
      for (const words of [
        ['restore', '--from', urlOf(folder), '--to', target],
        ['ls', '--from', urlOf(folder)],
        ['cat', 'docs/one', '--from', urlOf(folder)],
        ['fsck', urlOf(folder)],
      ]) {
        const refused = await withPassword(...words);
        expect(refused).toMatchObject({ code: 10, stdout: '' });
        expect(refused.stderr).toMatch(/^ecsync: [^\n]*\nhint: [^\n]*\n$/);
        expect(refused.stderr).toContain(what);
      }
    }
    expect(existsSync(target)).toBe(false);
  });

  it('refuses what is no mirror', async () => {
    writeFileSync(at('one'), 'content');
    expect((await withPassword('push', urlOf(bench.copy))).code).toBe(0);
    await addMirror(urlOf(bench.copy));
    const refused = await run('restore', '--to', target);
    expect(refused.code).toBe(10);
    expect(refused.stderr).toContain(`has no ${MARKER}`);
  });
});
