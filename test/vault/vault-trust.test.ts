import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EcsyncError } from '../../src/errors.ts';
import { foreignWriters } from '../../src/vault/files/ownership.ts';
import { readUserConfig, safeListOf } from '../../src/vault/user/user-config.ts';
import { findVaultDir, readVaultFrame, type VaultPlace } from '../../src/vault/vault.ts';

// A vault that another user could have written is used only by users who name it or trust it.

const NOBODY = 65534;
const HEAD = `version = 1\nconf_sha256 = "${'a'.repeat(64)}"\n`;

let root: string;
let vaultDir: string;
let config: string;
let place: VaultPlace;

beforeEach(() => {
  root = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ecsync-trust-')));
  vaultDir = path.join(root, 'photos/.ecsync');
  config = path.join(vaultDir, 'config.toml');
  mkdirSync(path.join(root, 'photos/2026'), { recursive: true });
  mkdirSync(vaultDir, { mode: 0o700 });
  writeFileSync(config, HEAD, { mode: 0o600 });
  const home = path.join(root, 'home');
  mkdirSync(path.join(home, 'ecsync'), { recursive: true });
  const safeList = safeListOf({ XDG_CONFIG_HOME: home }, 'linux');
  place = { folder: path.join(root, 'photos/2026'), safeList };
});
afterEach(() => rmSync(root, { recursive: true }));

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof EcsyncError) return error.code;
    throw error;
  }
  return 'none';
}

/** Ways in which another user may have changed the vault. */
const FOREIGN: Readonly<Record<string, () => void>> = {
  'belongs to another user': () => chownSync(vaultDir, NOBODY, NOBODY),
  'holds the configuration of another user': () => chownSync(config, NOBODY, NOBODY),
  'can be written by everybody': () => chmodSync(vaultDir, 0o757),
  'has a configuration that everybody can write': () => chmodSync(config, 0o602),
  'can be written by a group with other members': () => {
    chownSync(vaultDir, 0, NOBODY);
    chmodSync(vaultDir, 0o770);
  },
  'is a link that another user made': () => {
    renameSync(vaultDir, path.join(root, 'elsewhere'));
    symlinkSync(path.join(root, 'elsewhere'), vaultDir);
    lchownSync(vaultDir, NOBODY, NOBODY);
  },
};

describe.each(Object.entries(FOREIGN))('a vault that %s', (_how, make) => {
  it('is refused when it was only discovered', () => {
    expect(codeOf(() => readVaultFrame(place))).toBe('none');
    make();
    for (const use of [findVaultDir, readVaultFrame]) {
      expect(codeOf(() => use(place))).toBe('vault-not-yours');
      const inside = { ...place, folder: path.join(root, 'photos') };
      expect(codeOf(() => use(inside))).toBe('vault-not-yours');
      // -C names the folder, not what is above it.
      expect(codeOf(() => use({ ...place, isNamed: true }))).toBe('vault-not-yours');
    }
  });

  it('is used when it was named, but runs nothing and reads no file of the user', () => {
    make();
    const orders = [
      'source = "/root"',
      '[password]\ncommand = "true"',
      '[hooks]\nbefore = "true"',
      '[hooks]\nafter = ["true"]',
      '[hooks]\non_error = "true"',
      '[notify]\nhealthcheck = "http://127.0.0.1/"',
      '[push]\nrsh = "true"',
      '[push]\nrsync_path = "true"',
      '[[remotes]]\nname = "a"\nurl = "h:p"\npush.rsh = "true"',
      '[[remotes]]\nname = "a"\nurl = "h:p"\npush.rsync_path = "true"',
      '[[remotes]]\nname = "a"\nurl = "h::m/p"\ndaemon_password_file = "/etc/shadow"',
    ];
    const named: readonly VaultPlace[] = [
      { ...place, folder: path.join(root, 'photos'), isNamed: true },
      { ...place, vaultDir },
    ];
    for (const one of named) {
      writeFileSync(config, HEAD);
      expect(readVaultFrame(one)).toMatchObject({ vaultDir });
      for (const order of orders) {
        writeFileSync(config, `${HEAD}${order}\n`);
        expect(codeOf(() => readVaultFrame(one))).toBe('vault-orders-foreign');
      }
    }
  });

  it('is fully used by a user whose configuration trusts it', () => {
    make();
    writeFileSync(config, `${HEAD}[hooks]\nbefore = "true"\n`);
    for (const listed of [path.join(root, 'photos'), vaultDir]) {
      writeFileSync(path.join(root, 'home/ecsync/config.toml'), `safe_vaults = ["${listed}"]\n`);
      expect(readVaultFrame(place).config.hooks).toEqual({ before: 'true' });
    }
    writeFileSync(path.join(root, 'home/ecsync/config.toml'), `safe_vaults = ["${root}"]\n`);
    expect(codeOf(() => readVaultFrame(place))).toBe('vault-not-yours');
  });
});

describe('the search for a vault', () => {
  it('ends where another file system begins, unless the variable is set', () => {
    const { folder } = place;
    execFileSync('mount', ['-t', 'tmpfs', 'none', folder]);
    try {
      mkdirSync(path.join(folder, 'inner'));
      const inner = { ...place, folder: path.join(folder, 'inner') };
      for (const start of [place, inner]) {
        expect(() => findVaultDir(start)).toThrow(
          expect.objectContaining({
            code: 'no-vault',
            hint: expect.stringContaining(`${folder}, where another file system begins`) as string,
          }),
        );
        expect(findVaultDir({ ...start, crossesFileSystems: true })).toBe(vaultDir);
      }
    } finally {
      execFileSync('umount', [folder]);
    }
  });
});

describe('the configuration of the user', () => {
  it('is refused when another user could have written it', () => {
    const file = path.join(root, 'home/ecsync/config.toml');
    writeFileSync(file, '[hooks]\nbefore = "true"\n');
    expect(readUserConfig(file).hooks).toEqual({ before: 'true' });
    chmodSync(file, 0o646);
    expect(codeOf(() => readUserConfig(file))).toBe('config-not-yours');
    chmodSync(file, 0o644);
    chownSync(file, NOBODY, NOBODY);
    expect(codeOf(() => readUserConfig(file))).toBe('config-not-yours');
  });

  it('that is a pipe gives an error instead of waiting for a writer', () => {
    const file = path.join(root, 'home/ecsync/config.toml');
    execFileSync('mkfifo', [file]);
    expect(codeOf(() => readUserConfig(file))).toBe('config-unreadable');
  });
});

describe('a file that its group can write', () => {
  it('is its own only where the group is private', () => {
    // root is the only member of its group on every system that the tests run on.
    expect(foreignWriters({ uid: 0, gid: 0, mode: 0o100664 })).toBeUndefined();
    for (const gid of [NOBODY, 4_000_000_000]) {
      expect(foreignWriters({ uid: 0, gid, mode: 0o100664 })).toBeDefined();
    }
  });
});
