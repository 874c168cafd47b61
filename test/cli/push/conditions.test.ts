import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dischargesIn, notNow } from '../../../src/cli/push/conditions.ts';
import { freePort, startSshd } from '../../support/sshd.ts';
import { buildSources } from '../support/built.ts';
import { Cli, type CliOptions, type CliResult } from '../support/cli.ts';

// Under which conditions a push that nobody watches starts: exit code 75 means "not now".

let built: string;
let cli: Cli;
let dir: string;

const at = (name: string): string => path.join(dir, name);

beforeAll(async () => {
  built = buildSources();
  cli = new Cli(built);
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-conditions-'));
  mkdirSync(at('bin'));
  writeFileSync(at('pw'), 'secret\n', { mode: 0o600 });
  await cli.run(['init', at('source'), '--scryptn', '10', '--passfile', at('pw')]);
  await cli.run(['remote', 'add', 'home', at('copy'), '-C', at('source')]);
});
afterAll(() => {
  for (const folder of [dir, built]) rmSync(folder, { recursive: true, force: true });
});

function push(words: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const env = { PATH: `${at('bin')}:${process.env['PATH'] ?? ''}`, ...options.env };
  const all = ['push', '-C', at('source'), '--passfile', at('pw'), ...words];
  return cli.run(all, { ...options, env });
}

function program(name: string, text: string): void {
  writeFileSync(at(`bin/${name}`), `#!/bin/sh\n${text}\n`);
  chmodSync(at(`bin/${name}`), 0o755);
}

describe('the power supply of Linux', () => {
  const supplies = (...all: readonly Readonly<Record<string, string>>[]): string => {
    const folder = mkdtempSync(at('power-'));
    for (const [index, files] of all.entries()) {
      mkdirSync(path.join(folder, `S${index}`));
      for (const [name, text] of Object.entries(files)) {
        writeFileSync(path.join(folder, `S${index}`, name), `${text}\n`);
      }
    }
    return folder;
  };
  const battery = { type: 'Battery', status: 'Discharging' };

  it('is the battery when nothing else is on line', () => {
    expect(dischargesIn(supplies({ type: 'Mains', online: '0' }, battery))).toBe(true);
    expect(dischargesIn(supplies(battery))).toBe(true);
  });

  it.each([
    ['mains', [{ type: 'Mains', online: '1' }, battery]],
    ['a USB charger', [{ type: 'USB', online: '1' }, battery]],
    ['a battery that charges', [{ type: 'Battery', status: 'Charging' }]],
    ['a mouse with a battery', [{ ...battery, scope: 'Device' }]],
    ['a desktop machine', []],
  ])('is not: %s', (_what, all) => {
    expect(dischargesIn(supplies(...all))).toBe(false);
  });

  it('is unknown where the system does not tell', () => {
    expect(dischargesIn(at('absent'))).toBeUndefined();
  });
});

describe('on other systems', () => {
  it.each([
    ['win32', 'powershell.exe', 'echo 1', { skipOnBattery: true }, 'on-battery'],
    ['win32', 'powershell.exe', 'echo 2', { skipOnBattery: true }, undefined],
    ['win32', 'powershell.exe', 'echo Fixed', { skipOnMetered: true }, 'on-metered'],
    ['win32', 'powershell.exe', 'echo Unrestricted', { skipOnMetered: true }, undefined],
    ['win32', 'powershell.exe', 'exit 1', { skipOnMetered: true }, undefined],
    ['darwin', 'security', '', { skipOnMetered: true }, undefined],
  ] as const)('%s, %s: %s', async (...[platform, name, text, conditions, code]) => {
    program(name, text);
    const environment = { PATH: `${at('bin')}:/usr/bin:/bin` };
    expect((await notNow({ platform, environment }, conditions))?.error?.code).toBe(code);
  });
});

describe('--skip-on-metered', () => {
  it.each([
    ['u 1', 75],
    ['u 3', 75],
    ['u 2', 0],
    ['u 0', 0],
  ])('asks NetworkManager: %s', async (answer, code) => {
    program('busctl', `echo "$@" >${at('asked')}; echo '${answer}'`);
    const result = await push(['--skip-on-metered']);
    expect(result.code).toBe(code);
    expect(readFileSync(at('asked'), 'utf8')).toContain('org.freedesktop.NetworkManager Metered');
    if (code === 75) expect(result.stderr).toContain('metered');
  });

  it('goes on where nobody knows, and is taken back on the command line', async () => {
    program('busctl', 'exit 1');
    expect((await push(['--skip-on-metered'])).code).toBe(0);
    program('busctl', "echo 'u 1'");
    const env = { ECSYNC_SKIP_ON_METERED: '1' };
    expect((await push([], { env })).code).toBe(75);
    expect((await push(['--no-skip-on-metered'], { env })).code).toBe(0);
  });

  it('is no failure for `status`', async () => {
    program('busctl', "echo 'u 2'");
    await push(['--skip-on-metered']);
    program('busctl', "echo 'u 1'");
    expect((await push(['--skip-on-metered'])).code).toBe(75);
    expect((await cli.run(['status', '--max-age', '1h', '-C', at('source')])).code).toBe(0);
  });
});

describe('--wait-online', () => {
  it('ends with 75 when the destination is not reached in time, without it with 30', async () => {
    const env = { HOME: at('home') };
    const url = `ssh://nobody@127.0.0.1:${await freePort()}/copy`;
    const result = await push([url, '--wait-online', '1'], { env });
    expect(result.code).toBe(75);
    expect(result.stderr).toContain('nothing was pushed');
    expect((await push([url], { env })).code).toBe(30);
    const systemSsh = await push([url, '--wait-online', '1', '--rsh', 'ssh -F none'], { env });
    expect(systemSsh.code).toBe(75);
  });

  it('pushes as soon as the destination is there', async () => {
    const sshd = await startSshd();
    const port = await freePort();
    // Nothing listens on this port until a relay to the server does.
    const copy = path.join(sshd.dir, 'copy');
    const known = readFileSync(sshd.knownHostsFile, 'utf8');
    writeFileSync(sshd.knownHostsFile, known.replaceAll(`:${sshd.port}`, `:${port}`));
    const relay = `const net = require('node:net');
      net.createServer((one) => { const two = net.connect(${sshd.port}, '127.0.0.1');
        one.pipe(two).pipe(one); for (const s of [one, two]) s.on('error', () => undefined);
      }).listen(${port}, '127.0.0.1');`;
    let child: ReturnType<typeof spawn> | undefined;
    try {
      const url = `ssh://${sshd.user}@127.0.0.1:${port}${copy}`;
      const result = await push([url, '--wait-online', '60', '-v'], {
        env: { HOME: sshd.home },
        onStart: (command) =>
          command.stderr?.on('data', (chunk: Buffer) => {
            if (chunk.includes('waiting')) child ??= spawn(process.execPath, ['-e', relay]);
          }),
      });
      expect(result).toMatchObject({ code: 0 });
      expect(child).toBeDefined();
      expect(existsSync(path.join(copy, 'gocryptfs.conf'))).toBe(true);
    } finally {
      child?.kill('SIGKILL');
      await sshd.stop();
    }
  });
});

it('--low-priority lowers the priority of every thread', async () => {
  const seen = at('nice');
  const shell = at('bin/rsh');
  program('rsh', `ps -L -o ni= -p $PPID >${seen}; nice >>${seen}; exit 255`);
  await push(['host:p', '--rsh', shell, '--low-priority'], { alone: true });
  expect(new Set(readFileSync(seen, 'utf8').trim().split(/\s+/))).toEqual(new Set(['10']));
  await push(['host:p', '--rsh', shell], { alone: true });
  const own = String(os.getPriority());
  expect(new Set(readFileSync(seen, 'utf8').trim().split(/\s+/))).toEqual(new Set([own]));
});
