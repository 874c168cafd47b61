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
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EcsyncError } from '../../src/errors.ts';
import { createVault } from '../../src/vault/create-vault.ts';
import { assertMasterkey, keyCheckOf, openVault } from '../../src/vault/vault.ts';

// A vault is found from below, whole or absent, and its conf is the one it was made with.

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

describe('createVault()', () => {
  it('makes a vault that openVault() reads, closed to other users', () => {
    const source = at('new', 'photos');
    const vaultDir = createVault({ source }, key);
    expect(vaultDir).toBe(path.join(source, '.ecsync'));
    const vault = openVault({ folder: source });
    expect(vault.source).toBe(source);
    expect(Buffer.from(vault.confBytes)).toEqual(confBytes);
    expect(vault.config.conf_sha256).toBe(createHash('sha256').update(confBytes).digest('hex'));
    expect(vault.config.remotes).toEqual([]);
    const modes = ['', 'config.toml', 'gocryptfs.conf', 'index', 'log'].map((name) =>
      (statSync(path.join(vaultDir, name)).mode & 0o777).toString(8),
    );
    expect(modes).toEqual(['700', '600', '400', '700', '700']);
    expect(readdirSync(source)).toEqual(['.ecsync']);
  });

  it('refuses an existing vault, and one inside a vault directory', () => {
    createVault({ source: folder }, key);
    const again = failure(() =>
      createVault({ source: folder }, { ...key, masterkey: randomBytes(32) }),
    );
    expect(again.code).toBe('vault-exists');
    for (const inside of [at('.ecsync'), at('.ecsync', 'log', 'deep')]) {
      expect(failure(() => createVault({ source: inside }, key)).code).toBe('inside-vault-dir');
    }
    const here = failure(() => createVault({ source: at('x'), vaultDir: at('.ecsync', 'v') }, key));
    expect(here.code).toBe('inside-vault-dir');
    assertMasterkey(openVault({ folder }), masterkey);
  });

  it('leaves nothing behind where it cannot write', () => {
    writeFileSync(at('file'), '');
    expect(failure(() => createVault({ source: at('file') }, key)).code).toBe('not-a-folder');
    expect(failure(() => createVault({ source: at('file', 'x') }, key)).exitCode).toBe(10);
    writeFileSync(at('.ecsync'), '');
    expect(failure(() => createVault({ source: folder }, key)).code).toBe('vault-exists');
    expect(readdirSync(folder).sort()).toEqual(['.ecsync', 'file']);
  });

  it('clears away the draft of an init that was killed', () => {
    mkdirSync(at('.ecsync.init-4194304'));
    mkdirSync(at(`.ecsync.init-${process.ppid}`));
    createVault({ source: folder }, key);
    expect(readdirSync(folder).sort()).toEqual(['.ecsync', `.ecsync.init-${process.ppid}`]);
  });
});

describe('openVault()', () => {
  it('finds the nearest vault above', () => {
    createVault({ source: folder }, key);
    createVault({ source: at('inner') }, key);
    mkdirSync(at('inner', 'a', 'b'), { recursive: true });
    mkdirSync(at('outer', 'a'), { recursive: true });
    expect(openVault({ folder: at('inner', 'a', 'b') }).source).toBe(at('inner'));
    expect(openVault({ folder: at('outer', 'a') }).source).toBe(folder);
  });

  it('says where it looked when there is none', () => {
    const error = failure(() => openVault({ folder }));
    expect([error.code, error.exitCode]).toEqual(['no-vault', 10]);
    expect(error.message).toBe(`no vault here: ${folder}`);
    expect(error.hint).toContain('ecsync init');
  });

  it('keeps a vault directory elsewhere, which names its source', () => {
    const source = at('source');
    mkdirSync(source);
    writeFileSync(path.join(source, 'x'), '');
    const vaultDir = createVault({ source, vaultDir: at('keys') }, key);
    expect(existsSync(path.join(source, '.ecsync'))).toBe(false);
    expect(openVault({ folder: '/', vaultDir }).source).toBe(source);
    rmSync(path.join(source, 'x'));
    expect(failure(() => openVault({ folder: '/', vaultDir })).message).toContain('is empty');
    rmSync(source, { recursive: true });
    expect(failure(() => openVault({ folder: '/', vaultDir })).code).toBe('source-missing');
    expect(failure(() => openVault({ folder, vaultDir: at('nowhere') })).code).toBe('no-vault');
  });

  it('refuses a conf that is not the one the vault was made with', () => {
    createVault({ source: folder }, key);
    chmodSync(at('.ecsync', 'gocryptfs.conf'), 0o600);
    writeFileSync(at('.ecsync', 'gocryptfs.conf'), `${confBytes.toString()} `);
    const error = failure(() => openVault({ folder }));
    expect([error.code, error.exitCode]).toEqual(['conf-changed', 10]);
    expect(error.hint).toContain('config.toml');
  });

  it.each(['gocryptfs.conf', 'config.toml'])('says that %s is missing', (name) => {
    createVault({ source: folder }, key);
    rmSync(at('.ecsync', name));
    const error = failure(() => openVault({ folder }));
    expect([error.code, error.exitCode]).toEqual(['vault-incomplete', 10]);
    expect(error.message).toContain(name);
  });
});

describe('assertMasterkey()', () => {
  it('accepts the key the vault was made with and no other', () => {
    createVault({ source: folder }, key);
    const vault = openVault({ folder });
    assertMasterkey(vault, masterkey);
    const error = failure(() => assertMasterkey(vault, randomBytes(32)));
    expect([error.code, error.exitCode]).toEqual(['wrong-masterkey', 12]);
    expect(keyCheckOf(Buffer.alloc(32))).toMatch(/^[0-9a-f]{32}$/);
  });
});
