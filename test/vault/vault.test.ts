import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EcsyncError } from '../../src/errors.ts';
import { serialiseConf } from '../../src/gocryptfs/conf/config.ts';
import { flagsOfLayout } from '../../src/gocryptfs/conf/feature-flags.ts';
import { createConf } from '../../src/gocryptfs/conf/keys.ts';
import { makeVault } from '../../src/vault/new-vault.ts';
import { readAdopted } from '../../src/vault/adopted.ts';
import { confOf } from '../../src/vault/vault-conf.ts';
import {
  assertMasterkey,
  hasConf,
  keyCheckOf,
  readVault,
  readVaultFrame,
} from '../../src/vault/vault.ts';

// A vault is found from folders below, is complete or absent, and has its original conf.

const confBytes = Buffer.from('{"stands for": "a gocryptfs.conf"}\n');
const masterkey = randomBytes(32);
const key = { confBytes, masterkey };

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ecsync-vault-')));
});
afterEach(() => rmSync(folder, { recursive: true }));

function failure(action: () => unknown): EcsyncError {
  try {
    action();
  } catch (error) {
    if (error instanceof EcsyncError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const at = (...names: string[]): string => path.join(folder, ...names);

describe('makeVault()', () => {
  it('preserves the mtime of a folder with an adopted copy, to the second', () => {
    const source = at('photos');
    mkdirSync(source);
    for (const time of [1_600_000_000.9996, 1_600_000_000.999, 1_600_000_000]) {
      utimesSync(source, time, time);
      const confMtimeSec = 1_600_000_000;
      const continues = { remote: { name: 'copy', url: '/copy' }, confMtimeSec };
      makeVault({ source }, { ...key, continues });
      expect(Math.floor(statSync(source).mtimeMs / 1000)).toBe(1_600_000_000);
      rmSync(at('photos', '.ecsync'), { recursive: true });
    }
  });

  it('creates a vault that readVault() reads, closed to other users', () => {
    const source = at('new', 'photos');
    const vaultDir = makeVault({ source }, key);
    expect(vaultDir).toBe(path.join(source, '.ecsync'));
    const vault = readVault({ folder: source });
    expect(vault.source).toBe(source);
    expect(Buffer.from(vault.storedConf.bytes)).toEqual(confBytes);
    expect(vault.config.conf_sha256).toBe(createHash('sha256').update(confBytes).digest('hex'));
    expect(vault.config.remotes).toEqual([]);
    const modes = ['', 'config.toml', 'gocryptfs.conf', 'index', 'log'].map((name) =>
      (statSync(path.join(vaultDir, name)).mode & 0o777).toString(8),
    );
    expect(modes).toEqual(['700', '600', '400', '700', '700']);
    expect(readdirSync(source)).toEqual(['.ecsync']);
  });

  it('refuses an existing vault, and one inside a vault directory', () => {
    makeVault({ source: folder }, key);
    const again = failure(() =>
      makeVault({ source: folder }, { ...key, masterkey: randomBytes(32) }),
    );
    expect(again.code).toBe('vault-exists');
    for (const inside of [at('.ecsync'), at('.ecsync', 'log', 'deep')]) {
      expect(failure(() => makeVault({ source: inside }, key)).code).toBe('inside-vault-dir');
    }
    const here = failure(() => makeVault({ source: at('x'), vaultDir: at('.ecsync', 'v') }, key));
    expect(here.code).toBe('inside-vault-dir');
    assertMasterkey(readVault({ folder }), masterkey);
  });

  it('leaves nothing behind where it cannot write', () => {
    writeFileSync(at('file'), '');
    expect(failure(() => makeVault({ source: at('file') }, key)).code).toBe('not-a-folder');
    expect(failure(() => makeVault({ source: at('file', 'x') }, key)).exitCode).toBe(10);
    writeFileSync(at('.ecsync'), '');
    expect(failure(() => makeVault({ source: folder }, key)).code).toBe('vault-exists');
    expect(readdirSync(folder).sort()).toEqual(['.ecsync', 'file']);
  });

  it('removes the draft of a killed init', () => {
    mkdirSync(at('.ecsync.init-4194304'));
    mkdirSync(at(`.ecsync.init-${process.ppid}`));
    makeVault({ source: folder }, key);
    expect(readdirSync(folder).sort()).toEqual(['.ecsync', `.ecsync.init-${process.ppid}`]);
  });
});

describe('readVault()', () => {
  it('finds the nearest vault above', () => {
    makeVault({ source: folder }, key);
    makeVault({ source: at('inner') }, key);
    mkdirSync(at('inner', 'a', 'b'), { recursive: true });
    mkdirSync(at('outer', 'a'), { recursive: true });
    expect(readVault({ folder: at('inner', 'a', 'b') }).source).toBe(at('inner'));
    expect(readVault({ folder: at('outer', 'a') }).source).toBe(folder);
  });

  it('says where it looked when there is none', () => {
    const error = failure(() => readVault({ folder }));
    expect([error.code, error.exitCode]).toEqual(['no-vault', 10]);
    expect(error.message).toBe(`no vault here: ${folder}`);
    expect(error.hint).toContain('ecsync init');
  });

  it('keeps a vault directory elsewhere, which names its source', () => {
    const source = at('source');
    mkdirSync(source);
    writeFileSync(path.join(source, 'x'), '');
    const vaultDir = makeVault({ source, vaultDir: at('keys') }, key);
    expect(existsSync(path.join(source, '.ecsync'))).toBe(false);
    expect(readVault({ folder: '/', vaultDir }).source).toBe(source);
    rmSync(path.join(source, 'x'));
    expect(failure(() => readVault({ folder: '/', vaultDir })).message).toContain('is empty');
    rmSync(source, { recursive: true });
    expect(failure(() => readVault({ folder: '/', vaultDir })).code).toBe('source-missing');
    expect(failure(() => readVault({ folder, vaultDir: at('nowhere') })).code).toBe('no-vault');
  });

  it('refuses a conf that is not the one the vault was made with', () => {
    makeVault({ source: folder }, key);
    chmodSync(at('.ecsync', 'gocryptfs.conf'), 0o600);
    writeFileSync(at('.ecsync', 'gocryptfs.conf'), `${confBytes.toString()} `);
    const error = failure(() => readVault({ folder }));
    expect([error.code, error.exitCode]).toEqual(['conf-changed', 10]);
    expect(error.hint).toContain('config.toml');
  });

  it('opens without its conf for commands that do not need it', () => {
    makeVault({ source: folder }, key);
    rmSync(at('.ecsync', 'gocryptfs.conf'));
    const vault = readVaultFrame({ folder });
    expect(hasConf(vault)).toBe(false);
    assertMasterkey(vault, masterkey);
    expect(failure(() => confOf(vault)).code).toBe('vault-incomplete');
  });

  it('knows the content of a lost conf', () => {
    const flags = new Set(flagsOfLayout({ layout: 'reverse', longNameMax: 80 }));
    const conf = { flags, longNameMax: 80 };
    const reverse = { timeShiftSec: 0, confInSource: false } as const;
    makeVault({ source: folder }, { ...key, conf, reverse });
    rmSync(at('.ecsync', 'gocryptfs.conf'));
    const vault = readVaultFrame({ folder });
    expect(confOf(vault)).toMatchObject(conf);
    expect(vault).toMatchObject({ derivation: 'reverse', virtualTimes: { shiftSec: 0 } });
  });

  it('reads the conf of gocryptfs -reverse where it is, with its attributes', () => {
    const file = at('.gocryptfs.reverse.conf');
    writeFileSync(file, confBytes, { mode: 0o440 });
    utimesSync(file, 1_000_000_001.5, 1_000_000_001.5);
    const reverse = { timeShiftSec: 10, confInSource: true } as const;
    for (const vaultDir of [undefined, `${folder}-elsewhere`]) {
      const elsewhere = vaultDir === undefined ? {} : { vaultDir };
      const made = makeVault({ source: folder, ...elsewhere }, { ...key, reverse });
      expect(readdirSync(made).sort()).toEqual(['config.toml', 'index', 'log']);
      const vault = readVault({ folder, ...elsewhere });
      expect(vault).toMatchObject({
        confFile: file,
        storedConf: { mtimeSec: 1_000_000_001, mtimeNsec: 500_000_000 },
        derivation: 'reverse',
        virtualTimes: { shiftSec: 10 },
      });
      expect(vault.storedConf.mode & 0o777).toBe(0o440);
      rmSync(made, { recursive: true });
    }
  });

  it('refuses flags in the configuration that differ from the conf', async () => {
    const { conf } = await createConf({ password: Buffer.from('x'), scryptLogN: 10, creator: 't' });
    const wrong = { flags: new Set(flagsOfLayout({ layout: 'xchacha' })), longNameMax: 255 };
    makeVault({ source: folder }, { confBytes: serialiseConf(conf), masterkey, conf: wrong });
    const error = failure(() => confOf(readVault({ folder })));
    expect(error.code).toBe('config-invalid');
    expect(error.hint).toContain('"HKDF","GCMIV128"');
  });

  it.each(['gocryptfs.conf', 'config.toml'])('says that %s is missing', (name) => {
    makeVault({ source: folder }, key);
    rmSync(at('.ecsync', name));
    const error = failure(() => readVault({ folder }));
    expect([error.code, error.exitCode]).toEqual(['vault-incomplete', 10]);
    expect(error.message).toContain(name);
  });
});

describe('assertMasterkey()', () => {
  it('accepts the key the vault was made with and no other', () => {
    makeVault({ source: folder }, key);
    const vault = readVault({ folder });
    assertMasterkey(vault, masterkey);
    const error = failure(() => assertMasterkey(vault, randomBytes(32)));
    expect([error.code, error.exitCode]).toEqual(['wrong-masterkey', 12]);
    expect(keyCheckOf(Buffer.alloc(32))).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('the index of an adopted copy', () => {
  const index = randomBytes(1000);
  const remote = { name: 'nas', url: '/copy' };
  const make = (): void => {
    makeVault({ source: folder }, { ...key, continues: { remote, confMtimeSec: 0, index } });
  };
  const read = (): Uint8Array | undefined => readAdopted(readVaultFrame({ folder }));

  it('is returned, and is undefined where nothing was adopted', () => {
    make();
    expect(Buffer.from(read() ?? [])).toEqual(index);
    rmSync(at('.ecsync'), { recursive: true });
    makeVault({ source: folder }, key);
    expect(read()).toBeUndefined();
  });

  it('is an error when it is lost, damaged, outdated or not a file', () => {
    make();
    const file = at('.ecsync', 'adopted');
    for (const bytes of [Buffer.alloc(0), index.subarray(1), Buffer.alloc(1000), randomBytes(9)]) {
      writeFileSync(file, bytes);
      expect(failure(read).code).toBe('adopted-changed');
    }
    rmSync(file);
    expect(failure(read)).toMatchObject({ code: 'adopted-missing', exitCode: 10 });
    mkdirSync(file);
    expect(failure(read).code).toBe('vault-unreadable');
  });
});
