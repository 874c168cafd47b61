import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type CliResult, ecsync, summaryOf } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { pattern } from './support/hard-tree.ts';
import { fsck, withMount } from './support/stock.ts';
import {
  makeWindows,
  onDriveZ,
  type Windows,
  windowsNode,
  type WindowsNode,
} from './support/windows.ts';

// The command on Windows: Node's Windows build under Wine, which implements the interface of
// Windows but is not Windows. Stock gocryptfs checks the copies on Linux.

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const VERSIONS: readonly WindowsNode[] = ['20', '22'];
const SILENT = { code: 0, stdout: '', stderr: '' };
const PASS = ['--passfile', 'C:\\passfile'];
const LARGE_BYTES = 3_000_000;
const LONG = Array.from({ length: 5 }, (_, i) => `${i}${'x'.repeat(90)}`);
/** Windows stores times in units of 100 ns, and no owners. */
const COMPARED = { ignore: ['.ecsync'], nanoseconds: false, owners: false };

let windows: Windows;
let passfile: string;
beforeAll(async () => {
  windows = await makeWindows();
  passfile = path.join(windows.driveC, 'passfile');
  writeFileSync(passfile, 'correct horse battery staple\n', { mode: 0o600 });
});
afterAll(() => windows.remove());

/** A vault on Windows, seen from both sides. */
interface Vault {
  /** The path of the folder on Linux. */
  readonly source: string;
  /** The path of the folder on Windows. */
  readonly there: string;
  run(command: string, ...words: readonly string[]): Promise<CliResult>;
}

async function makeVault(name: string, version: WindowsNode = '22'): Promise<Vault> {
  const source = path.join(windows.driveC, name);
  const there = `C:\\${name}`;
  mkdirSync(path.join(source, 'folder', ...LONG), { recursive: true });
  writeFileSync(path.join(source, 'Grüße 🙂.txt'), 'hello\n');
  writeFileSync(path.join(source, 'read-only'), 'cannot be written');
  chmodSync(path.join(source, 'read-only'), 0o444);
  writeFileSync(path.join(source, 'folder', 'large'), pattern(LARGE_BYTES));
  writeFileSync(path.join(source, 'folder', 'n'.repeat(240)), 'a long name');
  writeFileSync(path.join(source, 'folder', ...LONG, 'deep'), 'a long path');
  const run = (command: string, ...words: readonly string[]): Promise<CliResult> =>
    windows.ecsync(version, [command, ...words, '-C', there, ...PASS]);
  const made = await windows.ecsync(version, ['init', there, '--scryptn', '10', ...PASS]);
  expect(made.code, made.stderr).toBe(0);
  return { source, there, run };
}

/** Changes one byte in the middle of the large file. */
function changeOneByte({ source }: Vault): void {
  const content = pattern(LARGE_BYTES);
  content[LARGE_BYTES / 2] = 0xff & ~(content[LARGE_BYTES / 2] ?? 0);
  writeFileSync(path.join(source, 'folder', 'large'), content);
}

/** Stock gocryptfs finds a copy clean, and equal to the source. */
async function expectSame(source: string, copy: string): Promise<void> {
  expect(await fsck(copy, passfile)).toMatchObject({ code: 0 });
  const found = await withMount(copy, passfile, (mounted) =>
    Promise.resolve(differences(source, mounted, COMPARED)),
  );
  expect(found).toEqual([]);
}

describe('a local folder', () => {
  it.each([
    ['a drive letter', '20', 'D:\\letter'],
    ['a file URL', '22', 'file:///D:/url'],
  ] as const)(
    'by %s, with Node %s: sends changes, links moved files, deletes gone ones',
    async (_, version, url) => {
      const name = version === '20' ? 'letter' : 'url';
      const vault = await makeVault(name, version);
      const copy = path.join(windows.driveD, name);
      expect(await vault.run('push', url)).toMatchObject(SILENT);
      await expectSame(vault.source, copy);

      const again = await vault.run('push', url, '--json');
      expect(summaryOf(again)).toMatchObject({ exitCode: 0, filesSent: 0, literalBytes: 0 });

      changeOneByte(vault);
      const delta = summaryOf(await vault.run('push', url, '--json'));
      expect(delta).toMatchObject({ exitCode: 0, filesSent: 1 });
      expect(delta.literalBytes).toBeLessThan(10_000);
      expect(delta.matchedBytes).toBeGreaterThan(LARGE_BYTES - 10_000);

      renameSync(path.join(vault.source, 'folder', 'large'), path.join(vault.source, 'moved'));
      rmSync(path.join(vault.source, 'folder', LONG[0] ?? ''), { recursive: true });
      rmSync(path.join(vault.source, 'read-only'));
      const deleted = await vault.run('push', url, '--delete', '-i');
      expect(deleted).toMatchObject({ code: 0, stderr: '' });
      expect(deleted.stdout).toContain('hf+++++++++ moved => folder/large\n');
      expect(deleted.stdout).toContain('*deleting   read-only\n');
      await expectSame(vault.source, copy);
      expect(await vault.run('verify', url)).toMatchObject(SILENT);
    },
  );

  it('ls, cat, verify and fsck work, and damage is found', async () => {
    const vault = await makeVault('looks');
    const copy = path.join(windows.driveD, 'looked-at');
    expect((await vault.run('push', 'D:\\looked-at')).code).toBe(0);
    const listed = await vault.run('ls', '--from', 'D:\\looked-at', 'folder');
    expect(listed.stdout.split('\n').slice(0, 2)).toEqual([LONG[0], 'large']);
    const large = await vault.run('cat', '--from', 'D:\\looked-at', 'folder\\large');
    expect(Buffer.from(large.stdout, 'latin1').equals(pattern(LARGE_BYTES))).toBe(true);
    expect(await vault.run('fsck', 'D:\\looked-at')).toMatchObject({ code: 0 });
    expect(await vault.run('verify', 'D:\\looked-at')).toMatchObject(SILENT);
    const victim = execFileSync('find', [copy, '-size', '+2M']).toString().trim();
    const bytes = readFileSync(victim);
    bytes[1_000_000] = 0xff & ~(bytes[1_000_000] ?? 0);
    writeFileSync(victim, bytes);
    expect((await vault.run('fsck', 'D:\\looked-at')).code).toBe(26);
    expect((await vault.run('verify', 'D:\\looked-at')).code).toBe(26);
  });

  it.each(VERSIONS)('with Node %s a restore and a clone are complete', async (version) => {
    const vault = await makeVault(`work${version}`, version);
    const copy = `D:\\work${version}`;
    expect((await vault.run('push', copy)).code).toBe(0);
    const back = await vault.run('restore', '--from', copy, '--to', `C:\\back${version}`);
    expect(back).toMatchObject(SILENT);
    const restored = path.join(windows.driveC, `back${version}`);
    expect(differences(vault.source, restored, COMPARED)).toEqual([]);

    const to = `C:\\clone${version}`;
    const cloned = await windows.ecsync(version, ['clone', ...PASS, copy, to]);
    expect(cloned.code, cloned.stderr).toBe(0);
    const clone = path.join(windows.driveC, `clone${version}`);
    expect(differences(vault.source, clone, COMPARED)).toEqual([]);
    const push = ['push', '-C', to, ...PASS, '-i'];
    expect(await windows.ecsync(version, push)).toMatchObject(SILENT);
    writeFileSync(path.join(clone, 'new'), 'new');
    expect((await windows.ecsync(version, push)).stdout).toContain('<f+++++++++ new\n');
    await expectSame(clone, path.join(windows.driveD, `work${version}`));
  });
});

describe('names that Windows cannot hold', () => {
  const NAMES = {
    A: 'A',
    'a~2': 'a',
    'a%3Ab': 'a:b',
    'a%253Ab': 'a%3Ab',
    '%63on': 'con',
    'trailing%2E': 'trailing.',
    'back%5Cslash': 'back\\slash',
    '%6Eul/%61ux.txt': 'nul/aux.txt',
  };
  let source: string;
  let copy: string;
  beforeAll(async () => {
    source = path.join(windows.dir, 'linux');
    copy = path.join(windows.dir, 'linux-copy');
    mkdirSync(path.join(source, 'nul'), { recursive: true });
    for (const name of Object.values(NAMES)) {
      writeFileSync(path.join(source, name), `was ${name}`);
    }
    const here = ['--passfile', passfile];
    expect((await ecsync(['init', source, '--scryptn', '10', ...here])).code).toBe(0);
    expect(await ecsync(['push', '-C', source, ...here, copy])).toMatchObject(SILENT);
  });

  it.each(VERSIONS)(
    'are restored under changed names, and nothing is overwritten: Node %s',
    async (version) => {
      const to = `odd-names${version}`;
      const words = ['restore', '-C', onDriveZ(source), ...PASS, '--from', onDriveZ(copy)];
      for (const isAgain of [false, true]) {
        const result = await windows.ecsync(version, [...words, '--to', `C:\\${to}`, '-i']);
        expect(result.code, result.stderr).toBe(0);
        expect(result.stderr).toContain('a%3Ab');
        expect(result.stdout === '').toBe(isAgain); // existing files are recognised under their changed names
      }
      const target = path.join(windows.driveC, to);
      for (const [name, was] of Object.entries(NAMES)) {
        expect(readFileSync(path.join(target, name), 'utf8')).toBe(`was ${was}`);
      }
      expect(readdirSync(target)).toHaveLength(Object.keys(NAMES).length);
    },
  );
});

describe('ssh', () => {
  let sshd: RunningSshd;
  beforeAll(async () => {
    sshd = await startSshd();
    const folder = path.join(windows.home, '.ssh');
    mkdirSync(folder);
    copyFileSync(sshd.keyFile, path.join(folder, 'id_ed25519'));
  });
  afterAll(() => sshd.stop());

  it('an unknown host ends with 13; then stock rsync gets what changed, and gives it back', async () => {
    const vault = await makeVault('far');
    const copy = path.join(windows.dir, 'far-copy');
    const url = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${copy}`;
    const unknown = await vault.run('push', url);
    expect(unknown.code).toBe(13);
    expect(unknown.stderr).toMatch(/SHA256:[A-Za-z0-9+/]{43}/);
    expect(existsSync(copy)).toBe(false);

    copyFileSync(sshd.knownHostsFile, path.join(windows.home, '.ssh', 'known_hosts'));
    expect(await vault.run('push', url)).toMatchObject(SILENT);
    await expectSame(vault.source, copy);
    const again = await vault.run('push', url, '--json');
    expect(summaryOf(again)).toMatchObject({ exitCode: 0, filesSent: 0, literalBytes: 0 });
    changeOneByte(vault);
    const delta = summaryOf(await vault.run('push', url, '--json'));
    expect(delta).toMatchObject({ exitCode: 0, filesSent: 1 });
    expect(delta.literalBytes).toBeLessThan(10_000);
    expect(await vault.run('verify', url)).toMatchObject(SILENT);
    await expectSame(vault.source, copy);
    expect(await vault.run('restore', '--from', url, '--to', 'C:\\from-far')).toMatchObject(SILENT);
    expect(differences(vault.source, path.join(windows.driveC, 'from-far'), COMPARED)).toEqual([]);
  });
});

it('of two pushes at once the second ends with 11, and the first continues', async () => {
  const vault = await makeVault('busy');
  const script = path.join(windows.driveC, 'wait.cjs');
  writeFileSync(
    script,
    `const fs = require('node:fs');
fs.writeFileSync('C:\\\\waiting', '');
const timer = setInterval(() => { if (fs.existsSync('C:\\\\go-on')) clearInterval(timer); }, 20);`,
  );
  const hook = JSON.stringify([onDriveZ(windowsNode('22')), 'C:\\wait.cjs']);
  const config = path.join(vault.source, '.ecsync', 'config.toml');
  writeFileSync(config, `${readFileSync(config, 'utf8')}\n[hooks]\nbefore = ${hook}\n`);
  const first = vault.run('push', 'D:\\busy');
  const isWaiting = path.join(windows.driveC, 'waiting');
  while (!existsSync(isWaiting) && (await Promise.race([first, sleep(20)])) === undefined);
  const second = await vault.run('push', 'D:\\busy');
  writeFileSync(path.join(windows.driveC, 'go-on'), '');
  expect(second.code, second.stderr).toBe(11);
  expect(second.stderr).toMatch(/^hint: /m);
  expect(await first).toMatchObject(SILENT);
  await expectSame(vault.source, path.join(windows.driveD, 'busy'));
});

it('the task of a schedule is XML that starts this command', async () => {
  const vault = await makeVault('regular');
  const added = await windows.ecsync('22', [
    'remote',
    'add',
    '-C',
    vault.there,
    'disk',
    'D:\\regular',
  ]);
  expect(added.code, added.stderr).toBe(0);
  const words = ['schedule', 'install', '-C', vault.there, '--platform', 'windows', '--print'];
  const printed = await windows.ecsync('22', [...words, '--', ...PASS]);
  expect(printed.code, printed.stderr).toBe(0);
  const file = path.join(windows.dir, 'task.xml');
  writeFileSync(file, Buffer.from(printed.stdout, 'latin1'));
  const xpath = 'string(//*[local-name()="Arguments"])';
  const read = execFileSync('xmllint', ['--nonet', '--xpath', xpath, file]).toString();
  expect(read).toContain(`"${onDriveZ(windowsNode('22'))}"`);
  expect(read).toContain(`"${vault.there}\\.ecsync"`);
});

describe('files that others could have planted', () => {
  it('a program in the current folder is not started for a bare name, but one in PATH is', async () => {
    const vault = await makeVault('programs');
    const { source, there } = vault;
    const system = path.join(windows.driveC, 'windows', 'system32');
    copyFileSync(path.join(system, 'hostname.exe'), path.join(source, 'planted.exe'));
    const add = ['remote', 'add', '-C', there, 'disk', 'D:\\programs'];
    expect(await windows.ecsync('22', add)).toMatchObject({ code: 0 });
    const hook = (program: string): void =>
      appendFileSync(
        path.join(source, '.ecsync', 'config.toml'),
        `\n[hooks]\nbefore = "${program}"\n`,
      );
    const plain = readFileSync(path.join(source, '.ecsync', 'config.toml'));
    hook('planted');
    const planted = await vault.run('push');
    expect(planted.stderr).toContain("the hook 'before' cannot be started: planted");
    expect(planted.code).toBe(2);
    writeFileSync(path.join(source, '.ecsync', 'config.toml'), plain);
    hook('hostname');
    expect(await vault.run('push')).toMatchObject({ code: 0 });
    // The owner of a vault is unknown, so above the current folder it must be in the user's
    // profile.
    const above = await windows.ecsync('22', ['log', '-C', `${there}\\folder`]);
    expect(above.stderr).toContain('above the current folder and outside your profile');
    expect(above.code).toBe(10);
    expect(await windows.ecsync('22', ['log', '-C', there])).toMatchObject({ code: 0 });
  });
});
