import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serialiseConf, type Conf } from '../../src/gocryptfs/conf/config.ts';
import type { FeatureFlag } from '../../src/gocryptfs/conf/feature-flags.ts';
import { deriveKek, wrapMasterkey } from '../../src/gocryptfs/conf/keys.ts';
import { makeVault } from '../../src/vault/new-vault.ts';
import { mountStockWith } from '../support/stock-gocryptfs.ts';
import { buildSources } from './support/built.ts';
import { Cli, type CliResult } from './support/cli.ts';

// Whatever `init` can make, stock opens the copy of it with the very lines of the recovery sheet.

let built: string;
let cli: Cli;
let folder: string;
let passfile: string;

beforeAll(() => {
  built = buildSources();
  cli = new Cli(built);
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ecsync-layouts-')));
  passfile = path.join(folder, 'passfile');
  writeFileSync(passfile, 'secret\n', { mode: 0o600 });
});
afterAll(() => {
  rmSync(built, { recursive: true });
  rmSync(folder, { recursive: true });
});

const LONG_NAME = 'l'.repeat(200);
const HALF_LONG_NAME = 'h'.repeat(90);
const CONTENT = Buffer.concat([Buffer.alloc(4096, 'a'), Buffer.from('the end\n')]);

function fill(source: string): void {
  mkdirSync(path.join(source, 'sub', HALF_LONG_NAME), { recursive: true });
  writeFileSync(path.join(source, 'sub', 'file'), CONTENT);
  writeFileSync(path.join(source, 'sub', HALF_LONG_NAME, LONG_NAME), 'long\n');
  symlinkSync('the/target', path.join(source, 'link'));
}

function expectContent(mounted: string): void {
  expect(readFileSync(path.join(mounted, 'sub', 'file'))).toEqual(CONTENT);
  const long = path.join(mounted, 'sub', HALF_LONG_NAME, LONG_NAME);
  expect(readFileSync(long, 'utf8')).toBe('long\n');
  expect(readlinkSync(path.join(mounted, 'link'))).toBe('the/target');
  expect(readdirSync(mounted).sort()).toContain('sub');
}

let count = 0;
const fresh = (what: string): string => path.join(folder, `${what}-${++count}`);

const run = (vault: string, words: readonly string[], input = ''): Promise<CliResult> =>
  cli.run(words, { cwd: vault, input });
const withPassword = (vault: string, words: readonly string[]): Promise<CliResult> =>
  run(vault, [...words, '--passfile', passfile]);

/** The two `gocryptfs` lines of a recovery sheet, without `gocryptfs` itself. */
function linesOf(sheet: string): readonly (readonly string[])[] {
  const lines = sheet.split('\n').map((line) => line.trim().split(' '));
  return lines.filter(([first]) => first === 'gocryptfs').map(([, ...words]) => words);
}

/** Runs a line of the sheet on a copy and looks at what it shows. */
async function open(line: readonly string[], copy: string, input?: string): Promise<void> {
  const mountPoint = fresh('mount');
  mkdirSync(mountPoint);
  const words = line.map((word) => ({ CIPHERDIR: copy, MOUNTPOINT: mountPoint })[word] ?? word);
  const mount = await mountStockWith(
    input === undefined ? ['-passfile', passfile, ...words] : words,
    input,
  );
  try {
    expectContent(mountPoint);
  } finally {
    await mount.unmount();
  }
}

/** Pushes a vault, opens the copy both ways, and translates its names. */
async function expectOpens(vault: string): Promise<void> {
  const copy = fresh('copy');
  const pushed = await withPassword(vault, ['push', copy]);
  expect(pushed).toMatchObject({ code: 0, stderr: '' });
  const sheet = (await withPassword(vault, ['key', 'paper'])).stdout;
  const key = (await withPassword(vault, ['key', 'masterkey'])).stdout;
  const [withConf = [], withKey = [], ...others] = linesOf(sheet);
  expect(others).toEqual([]);
  await open(withConf, copy);
  rmSync(path.join(copy, 'gocryptfs.conf'));
  await open(withKey, copy, key);

  const names = ['sub/file', `sub/${HALF_LONG_NAME}/${LONG_NAME}`, 'link', 'sub'];
  const { stdout } = await withPassword(vault, ['name', 'encode', ...names]);
  const encoded = stdout.trimEnd().split('\n');
  expect(statSync(path.join(copy, encoded[0] ?? '?')).isFile()).toBe(true);
  expect(encoded.map((name) => existsSync(path.join(copy, path.dirname(name))))).toEqual(
    encoded.map(() => true),
  );
  const siblings = encoded.map((name) => readdirSync(path.join(copy, path.dirname(name))));
  encoded.forEach((name, i) => expect(siblings[i]).toContain(path.basename(name)));
  const decoded = await withPassword(vault, [
    'name',
    'decode',
    ...encoded.map((name) => `./${name}`),
  ]);
  expect(decoded.stdout.trimEnd().split('\n')).toEqual(names);
}

describe('init', () => {
  it.each([
    [[], 'HKDF GCMIV128 DirIV EMENames LongNames Raw64'],
    [['--plaintextnames'], 'HKDF GCMIV128 PlaintextNames'],
    [['--deterministic-names'], 'HKDF GCMIV128 EMENames LongNames Raw64'],
    [['--longnamemax', '100'], 'HKDF GCMIV128 DirIV LongNameMax EMENames LongNames Raw64'],
    [['--longnamemax', '255'], 'HKDF GCMIV128 DirIV EMENames LongNames Raw64'],
    [['--layout', 'reverse'], 'HKDF GCMIV128 DirIV EMENames LongNames Raw64 AESSIV'],
    [['--layout', 'reverse', '--plaintextnames'], 'HKDF GCMIV128 PlaintextNames AESSIV'],
    [
      ['--layout', 'reverse', '--deterministic-names', '--longnamemax', '62'],
      'HKDF GCMIV128 LongNameMax EMENames LongNames Raw64 AESSIV',
    ],
    [['--layout', 'xchacha'], 'HKDF XChaCha20Poly1305 DirIV EMENames LongNames Raw64'],
    [['--layout', 'xchacha', '--plaintextnames'], 'HKDF XChaCha20Poly1305 PlaintextNames'],
    [
      ['--layout', 'xchacha', '--deterministic-names', '--longnamemax', '100'],
      'HKDF XChaCha20Poly1305 LongNameMax EMENames LongNames Raw64',
    ],
  ])('%j: stock accepts the conf and opens the copy, with it and without', async (words, flags) => {
    const vault = fresh('vault');
    const made = await cli.run([
      'init',
      vault,
      '--scryptn',
      '10',
      '--passfile',
      passfile,
      ...words,
    ]);
    expect(made.code).toBe(0);
    const info = spawnSync('gocryptfs', ['-info', path.join(vault, '.ecsync')], {
      encoding: 'utf8',
    });
    expect(info).toMatchObject({ status: 0 });
    expect(info.stdout).toMatch(new RegExp(`^FeatureFlags: +${flags}$`, 'm'));
    fill(vault);
    await expectOpens(vault);
  });

  it('makes no vault where it is refused', async () => {
    const vault = fresh('vault');
    const words = ['--plaintextnames', '--longnamemax', '100', '--extpass', `touch ${vault}`];
    expect((await cli.run(['init', vault, ...words])).code).toBe(2);
    expect(existsSync(vault)).toBe(false);
  });
});

describe('a filesystem of before gocryptfs 1.3', () => {
  const OLD: readonly (readonly FeatureFlag[])[] = [
    ['GCMIV128', 'DirIV', 'EMENames', 'LongNames'],
    ['GCMIV128', 'DirIV', 'EMENames', 'LongNames', 'AESSIV'],
    ['GCMIV128', 'DirIV', 'EMENames', 'LongNames', 'Raw64'],
    ['GCMIV128', 'PlaintextNames'],
  ];

  it.each(OLD.map((flags) => [flags.join(' '), flags] as const))(
    'with %s opens with the lines of its sheet',
    async (_what, flags) => {
      const scrypt = { salt: randomBytes(32), logN: 10, r: 8, p: 1 };
      const masterkey = randomBytes(32);
      const kek = await deriveKek(Buffer.from('secret'), scrypt);
      const conf: Conf = {
        creator: 'somebody',
        encryptedKey: wrapMasterkey(masterkey, kek, { hkdf: false }),
        scrypt,
        flags: new Set(flags),
        longNameMax: 255,
      };
      const vault = fresh('vault');
      makeVault({ source: vault }, { confBytes: serialiseConf(conf), masterkey, conf });
      fill(vault);
      await expectOpens(vault);
    },
  );
});

describe('a folder that gocryptfs -reverse shows', () => {
  function madeByStock(...words: readonly string[]): string {
    const source = fresh('source');
    mkdirSync(source);
    const options = ['-init', '-reverse', '-q', '-nosyslog', '-scryptn', '10'];
    const made = spawnSync('gocryptfs', [...options, ...words, '-passfile', passfile, source]);
    expect(made.status).toBe(0);
    fill(source);
    return source;
  }
  const initIn = (source: string, ...words: readonly string[]): Promise<CliResult> =>
    run(source, ['init', ...words]);

  it('goes on with its conf: the same password and key, the same copy', async () => {
    const source = madeByStock('-longnamemax', '100');
    const conf = path.join(source, '.gocryptfs.reverse.conf');
    const before = readFileSync(conf);
    const made = await initIn(source, '--layout', 'reverse', '--passfile', passfile);
    expect(made.code).toBe(0);
    expect(made.stderr).toContain(`it uses ${conf}`);
    expect(readFileSync(conf)).toEqual(before);
    expect(existsSync(path.join(source, '.ecsync/gocryptfs.conf'))).toBe(false);
    const info = await run(source, ['key', 'info', '--json']);
    expect(JSON.parse(info.stdout.split('\n')[0] ?? '')).toMatchObject({
      confFile: conf,
      derivation: 'reverse',
      reverseTimeShiftSec: 10,
      longNameMax: 100,
    });
    await expectOpens(source);
    expect((await initIn(source, '--layout', 'reverse', '--passfile', passfile)).code).toBe(2);
  });

  it('is pushed as stock shows it, byte for byte', async () => {
    const source = madeByStock();
    await initIn(source, '--layout', 'reverse', '--passfile', passfile);
    // What stock would show of the vault's own folder is not part of the copy.
    const copy = fresh('copy');
    expect((await withPassword(source, ['push', copy])).code).toBe(0);
    const mountPoint = fresh('mount');
    mkdirSync(mountPoint);
    const shown = ['-reverse', '-passfile', passfile, '-exclude', '.ecsync', source, mountPoint];
    const mount = await mountStockWith(shown);
    try {
      const temporary = 'gocryptfs.longname.ecsync-tmp.name';
      const { status, stdout } = spawnSync(
        'diff',
        ['-r', '--no-dereference', '-x', temporary, mountPoint, copy],
        {
          encoding: 'utf8',
        },
      );
      expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    } finally {
      await mount.unmount();
    }
  });

  it('goes on with a copy that rsync made of the mount, and sends nothing again', async () => {
    const source = madeByStock();
    const copy = fresh('copy');
    const mountPoint = fresh('mount');
    mkdirSync(mountPoint);
    const mount = await mountStockWith(['-reverse', '-passfile', passfile, source, mountPoint]);
    expect(spawnSync('rsync', ['-a', `${mountPoint}/`, copy]).status).toBe(0);
    await mount.unmount();
    expect((await initIn(source, '--layout', 'reverse', '--passfile', passfile)).code).toBe(0);
    const config = path.join(source, '.ecsync/config.toml');
    // The installed stock is older than 2.5.
    writeFileSync(config, readFileSync(config, 'utf8').replace('shift_sec = 10', 'shift_sec = 0'));
    const pushed = await withPassword(source, ['push', copy, '--json']);
    const summary: unknown = JSON.parse(pushed.stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(summary).toMatchObject({ exitCode: 0, filesSent: 0, literalBytes: 0, warnings: [] });
  });

  it('is never given a second conf', async () => {
    const source = madeByStock();
    const asks = ['--extpass', 'touch asked'];
    const other = await initIn(source, ...asks);
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('.gocryptfs.reverse.conf is there');
    expect(other.stderr).toContain('ecsync init --layout reverse');
    const more = await initIn(source, '--layout', 'reverse', '--plaintextnames', ...asks);
    expect(more.code).toBe(2);
    expect(more.stderr).toContain('Leave --plaintextnames out');
    expect(existsSync(path.join(source, 'asked'))).toBe(false);
    const wrong = await initIn(source, '--layout', 'reverse', '--extpass', 'echo wrong');
    expect(wrong.code).toBe(12);
    expect(existsSync(path.join(source, '.ecsync'))).toBe(false);
  });

  it('is refused without AES-SIV, and when the conf is damaged', async () => {
    const source = madeByStock();
    const conf = path.join(source, '.gocryptfs.reverse.conf');
    const text = readFileSync(conf, 'utf8');
    rmSync(conf);
    writeFileSync(conf, text.replace(/"Raw64",\s*"AESSIV"/, '"Raw64"'));
    const words = ['--layout', 'reverse', '--extpass', 'touch asked'];
    expect((await initIn(source, ...words)).stderr).toContain('AESSIV is not set');
    writeFileSync(conf, text.slice(0, -20));
    expect((await initIn(source, ...words)).code).toBe(10);
    expect(existsSync(path.join(source, 'asked'))).toBe(false);
  });
});
