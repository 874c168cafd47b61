import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { addRemote, removeRemote } from '../../../src/vault/config/config-edit.ts';
import { parseConfig } from '../../../src/vault/config/config.ts';
import { readUserConfig, userConfigFile } from '../../../src/vault/user/user-config.ts';

// The tables that a vault, its remotes and the machine share, and the errors for mistakes in them.

const HEAD = `version = 1\nconf_sha256 = "${'a'.repeat(64)}"\n`;
const REMOTE = '[[remotes]]\nname = "a"\nurl = "h:p"\n';

function failure(action: () => unknown): EcsyncError {
  try {
    action();
  } catch (error) {
    if (error instanceof EcsyncError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-user-config-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe('tables of settings', () => {
  it('are read in a vault, in a remote and for the machine', () => {
    const push = '[push]\ndelete = true\nmax_delete = "10%"\nexclude = ["*.tmp"]\n';
    const remote = `${REMOTE}[remotes.push]\nbwlimit = "1M"\nretries = 3\n`;
    const config = parseConfig(`${HEAD}${push}[hooks]\nbefore = "true"\n${remote}`, 'c');
    expect(config.push).toEqual({ delete: true, max_delete: '10%', exclude: ['*.tmp'] });
    expect(config.hooks).toEqual({ before: 'true' });
    expect(config.remotes[0]?.push).toEqual({ bwlimit: '1M', retries: 3 });
    const file = path.join(dir, 'config.toml');
    writeFileSync(file, `${push}[notify]\ndesktop = true\n`);
    expect(readUserConfig(file)).toMatchObject({
      push: { delete: true },
      notify: { desktop: true },
    });
  });

  it.each([
    [`${HEAD}[push]\nexclud = "x"`, "unknown key 'push.exclud'", 'Did you mean exclude?'],
    [`${HEAD}[push]\nmax-delete = 1`, "unknown key 'push.max-delete'", 'max_delete'],
    [`${HEAD}[hooks]\nbefor = "x"`, "unknown key 'hooks.befor'", 'before'],
    [`${HEAD}[notify]\nhealthchecks = "x"`, "unknown key 'notify.healthchecks'", 'healthcheck'],
    [
      `${HEAD}${REMOTE}[remotes.push]\ndelet = true`,
      "unknown key 'remotes.0.push.delet'",
      'delete',
    ],
  ])('name what an unknown key was meant to be: %j', (text, message, hint) => {
    const error = failure(() => parseConfig(text, 'c'));
    expect(error.code).toBe('config-unknown-key');
    expect(error.message).toContain(message);
    expect(error.hint).toContain(hint);
  });

  it.each([
    ['[push]\ndelete = "yes"', 'true or false'],
    ['[push]\nexclude = [1]', 'push.exclude'],
    ['[push]\nexclude = [""]', 'push.exclude'],
    ['push = 1', '[push]'],
    ['[notify]\nhealthcheck = "ftp://x"', 'https://'],
    ['[hooks]\nafter = []', 'hooks.after'],
    ['version = 2', 'newer ecsync'],
    ['remotes = []', "unknown key 'remotes'"],
  ])('refuse %j for the machine', (text, message) => {
    const file = path.join(dir, 'config.toml');
    writeFileSync(file, text);
    expect(failure(() => readUserConfig(file)).message).toContain(message);
  });

  it('are empty when there is no file, and an error when it cannot be read', () => {
    expect(readUserConfig(path.join(dir, 'none'))).toEqual({});
    writeFileSync(path.join(dir, 'file'), '');
    expect(readUserConfig(path.join(dir, 'file/config.toml'))).toEqual({});
    mkdirSync(path.join(dir, 'config.toml'));
    expect(failure(() => readUserConfig(path.join(dir, 'config.toml'))).code).toBe(
      'config-unreadable',
    );
  });

  it('are in the usual place of each system', () => {
    expect(userConfigFile({ XDG_CONFIG_HOME: '/x' }, 'linux')).toBe('/x/ecsync/config.toml');
    expect(userConfigFile({ XDG_CONFIG_HOME: 'x' }, 'darwin')).toBe(
      path.join(os.homedir(), '.config/ecsync/config.toml'),
    );
  });

  it('are removed with their remote, but not with another one', () => {
    const text = `${HEAD}${REMOTE}[remotes.push]\ndelete = true # mine\n`;
    const two = addRemote(text, 'c', { name: 'b', url: 'h:b' });
    expect(removeRemote(two, 'c', 'b').trim()).toBe(text.trim());
    const rest = removeRemote(two, 'c', 'a');
    expect(parseConfig(rest, 'c').remotes).toEqual([{ name: 'b', url: 'h:b' }]);
    expect(rest).not.toContain('mine');
  });
});
