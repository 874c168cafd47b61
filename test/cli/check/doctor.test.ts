import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authorizedLine } from '../../../src/cli/vault/setup-server.ts';
import { buildSources } from '../support/built.ts';
import { Cli, type CliResult } from '../support/cli.ts';

// doctor, completions, the manual, and the line for a server.

let built: string;
let cli: Cli;
let dir: string;
let source: string;
const at = (name: string): string => path.join(dir, name);

beforeAll(async () => {
  built = buildSources();
  cli = new Cli(built);
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-doctor-'));
  source = at('source');
  writeFileSync(at('pw'), 'secret\n', { mode: 0o600 });
  await cli.run(['init', source, '--scryptn', '10', '--passfile', at('pw')]);
  await cli.run(['remote', 'add', 'home', at('copy'), '-C', source]);
});
afterAll(() => {
  for (const folder of [dir, built]) rmSync(folder, { recursive: true, force: true });
});

interface Finding {
  readonly type: string;
  readonly topic: string;
  readonly state: string;
  readonly text: string;
}

async function doctor(
  ...words: string[]
): Promise<{ result: CliResult; found: readonly Finding[] }> {
  const result = await cli.run(['doctor', '-C', source, '--json', ...words]);
  const events = result.stdout.trim().split('\n');
  const found = events.map((line) => JSON.parse(line) as Finding);
  return { result, found: found.filter(({ type }) => type === 'finding') };
}

describe('doctor', () => {
  it('finds nothing wrong with a vault that was pushed', async () => {
    await cli.run(['push', '-C', source, '--passfile', at('pw')]);
    const { result, found } = await doctor();
    expect(result.code).toBe(0);
    expect(found.filter(({ state }) => state === 'bad')).toEqual([]);
    expect(found.map(({ text }) => text)).toContain('can push');
  });

  it('says what is wrong, with the exit code of the first', async () => {
    await cli.run(['remote', 'add', 'lost', at('pw/folder/copy'), '-C', source]);
    chmodSync(path.join(source, '.ecsync'), 0o755);
    const conf = path.join(source, '.ecsync/gocryptfs.conf');
    renameSync(conf, at('conf'));
    const { result, found } = await doctor();
    renameSync(at('conf'), conf);
    expect(result.code).toBe(10);
    expect(found.filter(({ state }) => state === 'bad').map(({ topic }) => topic)).toEqual([
      'keys',
      'remote lost',
    ]);
    expect(found.find(({ topic }) => topic === 'permissions')?.state).toBe('look');
    expect((await doctor()).result.code).toBe(5);
    expect((await doctor('--offline')).result.code).toBe(0);
  });

  it('says of a copy that is gone what a push says, as verify and remote test do', async () => {
    const copy = at('copy');
    renameSync(copy, at('away'));
    mkdirSync(copy);
    const gone = `${copy}: the copy is gone that was there`;
    const { found } = await doctor();
    rmSync(copy, { recursive: true });
    const bad = found.find(({ topic }) => topic === 'remote home');
    const passfile = ['--passfile', at('pw')];
    const said: string[] = [];
    for (const words of [
      ['push', ...passfile],
      ['verify', ...passfile],
      ['remote', 'test'],
    ]) {
      const result = await cli.run([...words, '-C', source]);
      expect(result.code).toBe(75);
      said.push(result.stderr);
    }
    renameSync(at('away'), copy);
    for (const text of said) expect(text).toContain(gone);
    expect(found.map(({ text }) => text)).toContain(gone);
    expect(bad).toBeDefined();
    expect(found.map(({ text }) => text)).not.toContain('can push');
  });

  it('ends at once where there is no vault', async () => {
    const result = await cli.run(['doctor', '-C', dir]);
    expect(result.code).toBe(10);
    expect(result.stdout).toContain('WRONG  vault');
  });
});

describe('completion', () => {
  async function complete(...words: string[]): Promise<readonly string[]> {
    const { stdout } = await cli.run(['completion', 'bash']);
    const script = `${stdout}\nCOMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _ecsync; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const answer = execFileSync('bash', ['-c', script, 'bash', 'ecsync', ...words], {
      cwd: dir,
      env: { ...process.env, PATH: `${path.join(dir, 'bin')}:${process.env['PATH'] ?? ''}` },
    });
    return answer
      .toString()
      .split('\n')
      .filter((line) => line !== '');
  }

  it.each([
    [['st'], ['status']],
    [['remote', 'l'], ['list']],
    [['-C', '/x', 'remote', 'add', '--verb'], ['--verbose']],
    [
      ['push', '--max'],
      ['--max-delete', '--max-changed', '--max-size', '--max-age', '--max-bytes', '--max-time'],
    ],
    [['completion', 'z'], ['zsh']],
    [['help', 'ex'], ['exit-codes']],
    [['help', 'sche'], ['schedule']],
    [
      ['init', '--layout', ''],
      ['gcm', 'reverse', 'xchacha'],
    ],
    [['restore', '--overwrite', 'ol'], ['older']],
    [['push', '--passfile', 'p'], ['pw']],
  ])('of bash knows %j', async (words, wanted) => {
    expect(await complete(...words)).toEqual(wanted);
  });

  it('of bash offers names with blanks, and the remotes of the vault', async () => {
    mkdirSync(path.join(dir, 'My Docs'));
    expect(await complete('push', 'home', 'My')).toEqual(['My Docs']);
    expect(await complete('push', '--passfile', 'My')).toEqual(['My Docs']);
    const bin = path.join(dir, 'bin');
    mkdirSync(bin);
    const list = "#!/bin/sh\nprintf 'home\\tme@server:b\\nhotel\\t/mnt/x\\n'\n";
    writeFileSync(path.join(bin, 'ecsync'), list, { mode: 0o755 });
    expect(await complete('push', 'ho')).toEqual(['home', 'hotel']);
    expect(await complete('restore', '--from', 'hom')).toEqual(['home']);
    expect(await complete('remote', 'remove', 'hot')).toEqual(['hotel']);
    expect(await complete('log', 'ho')).toEqual([]);
  });

  it('offers nothing that is not in this release', async () => {
    expect(await complete('push', '--snap')).toEqual([]);
  });

  it.each(['bash', 'zsh', 'fish', 'powershell'])('of %s names every command', async (shell) => {
    const { stdout, code } = await cli.run(['completion', shell]);
    expect(code).toBe(0);
    for (const name of ['setup-server', 'fsck', 'doctor', 'config', 'paper']) {
      expect(stdout).toContain(name);
    }
  });
});

describe('help man', () => {
  it('is a manual of all commands, in which no text begins a request', async () => {
    const { stdout } = await cli.run(['help', 'man']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^\.TH ECSYNC 1 /);
    for (const line of lines) {
      expect(line).toMatch(/^(?:\.(?:TH|SH|SS|TP|B|I|RI|nh|ad)(?: |$)|[^.'])/);
    }
    expect(stdout).toContain('.SS "ecsync remote setup\\-server');
    expect(stdout).toContain('.B 130');
    const sections = lines.filter((line) => line.startsWith('.SH ')).map((line) => line.slice(4));
    for (const name of ['EXAMPLES', 'FILES', 'ENVIRONMENT', 'EXIT STATUS']) {
      expect(sections).toContain(name);
    }
  });
});

describe('remote setup-server', () => {
  it('limits a key to writing, or to adding, whatever the folder is called', async () => {
    expect(await authorizedLine({ path: 'b' }, 'ssh-ed25519 AAAA', false)).toBe(
      'restrict,command="rrsync -wo b" ssh-ed25519 AAAA',
    );
    expect(await authorizedLine({ path: `/a "b" 'c'` }, 'KEY', true)).toBe(
      `restrict,command="rrsync -wo -no-del -no-overwrite /a\\ \\\\"b\\\\"\\ \\\\'c\\\\'" KEY`.replace(
        /\\\\'/g,
        "\\'",
      ),
    );
  });

  it('takes a public key only, and an ssh remote', async () => {
    await cli.run(['remote', 'add', 'srv', 'ssh://me@host.example:23/./copies/x', '-C', source]);
    const setup = (...words: string[]): Promise<CliResult> =>
      cli.run(['remote', 'setup-server', '-C', source, ...words]);
    writeFileSync(at('key.pub'), 'ssh-ed25519 AAAAC3Nza me@here\n');
    const shown = await setup('srv', '--key', at('key.pub'));
    expect(shown.stdout).toBe('restrict,command="rrsync -wo copies/x" ssh-ed25519 AAAAC3Nza\n');
    expect(shown.stderr).toContain('ssh://me@host.example:23/./.');
    const refused = await setup('srv', '--key', at('pw'));
    expect(refused.code).toBe(2);
    expect(refused.stderr).not.toContain('secret');
    expect((await setup('home')).stderr).toContain('not reached over ssh');
  });
});
