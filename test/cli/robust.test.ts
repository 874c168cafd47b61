import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readHistory } from '../../src/vault/memory/history.ts';
import { buildSources } from './support/built.ts';
import { Cli, type CliResult } from './support/cli.ts';

// Runs that nobody watches: again after a lost connection, not for too long, with hooks, and told on.

let built: string;
let cli: Cli;
let dir: string;
let source: string;
let plainConfig: string;

const vaultConfig = (): string => path.join(source, '.ecsync/config.toml');
const at = (name: string): string => path.join(dir, name);

beforeAll(async () => {
  built = buildSources();
  cli = new Cli(built);
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-robust-'));
  source = at('source');
  writeFileSync(at('pw'), 'secret\n', { mode: 0o600 });
  await cli.run(['init', source, '--scryptn', '10', '--passfile', at('pw')]);
  await cli.run(['remote', 'add', 'home', at('copy'), '-C', source]);
  plainConfig = readFileSync(vaultConfig(), 'utf8');
});
afterAll(() => {
  for (const folder of [dir, built]) rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  writeFileSync(vaultConfig(), plainConfig);
  writeFileSync(path.join(source, 'file'), String(Math.random()));
});

function push(...words: readonly string[]): Promise<CliResult> {
  return cli.run(['push', '-C', source, '--passfile', at('pw'), ...words]);
}

function script(name: string, text: string): string {
  writeFileSync(at(name), `#!/bin/sh\n${text}\n`);
  chmodSync(at(name), 0o755);
  return at(name);
}

/** A remote shell that breaks off so many times before it works. */
function flakyShell(failures: number): string {
  rmSync(at('count'), { force: true });
  return script(
    'rsh',
    `n=$(cat ${at('count')} 2>/dev/null || echo 0); echo $((n+1)) >${at('count')}
if [ "$n" -lt ${failures} ]; then echo "connection reset by peer" >&2; exit 255; fi
while [ "\${1#-}" != "$1" ]; do shift; done; shift; exec sh -c "$*"`,
  );
}

describe('--retries', () => {
  it('begins again after the connection was lost, and says so', async () => {
    const result = await push('host:' + at('copy-rsh'), '--rsh', flakyShell(1), '--retries', '2');
    expect(result.stderr).toContain('attempt 2 of 3 in');
    expect(result.code).toBe(0);
    expect(existsSync(at('copy-rsh/gocryptfs.conf'))).toBe(true);
  });

  it('ends with the last failure when all attempts are used up; by default there is one', async () => {
    const result = await push('host:' + at('copy-none'), '--rsh', flakyShell(9), '--retries', '1');
    expect(result.code).toBe(30);
    expect(readFileSync(at('count'), 'utf8').trim()).toBe('2');
    expect((await push('host:' + at('copy-none'), '--rsh', flakyShell(9))).code).toBe(30);
    expect(readFileSync(at('count'), 'utf8').trim()).toBe('1');
  });

  it('holds for plan and verify, too; what was told is not told again', async () => {
    const copy = at('copy-rsh-again');
    expect((await push(copy)).code).toBe(0);
    writeFileSync(path.join(source, 'file'), 'longer than it was before');
    // Another second than that of the push, however quick that was.
    const laterSec = Math.ceil(Date.now() / 1000) + 5;
    utimesSync(path.join(source, 'file'), laterSec, laterSec);
    const pass = ['-C', source, '--passfile', at('pw')];
    // The conversation that looks for changes is not the first one.
    const shell = (failures: number): readonly string[] => [
      ...['host:' + copy, '--rsh', flakyShell(failures), '--retries', '1'],
    ];
    const plan = await cli.run(['plan', ...pass, ...shell(1)]);
    expect(plan.stderr).toContain('attempt 2 of 2 in');
    expect(plan.code).toBe(0);
    expect(plan.stdout.match(/ file$/gm)).toHaveLength(1);
    const verify = await cli.run(['verify', ...pass, ...shell(1)]);
    expect(verify.stderr).toContain('attempt 2 of 2 in');
    expect(verify.code).toBe(26);
    expect(verify.stdout).toBe('changed file (changed here since, by its time)\n');
  });

  it('does not try again what no second attempt can mend', async () => {
    const result = await push(at('pw/folder/copy'), '--retries', '3');
    expect(result.code).toBe(5);
    expect(result.stderr).not.toContain('attempt');
  });
});

describe('--max-time and --if-older-than', () => {
  it('stops a push that takes too long; the next one continues', async () => {
    writeFileSync(path.join(source, 'large'), Buffer.alloc(3_000_000, 'x'));
    const stopped = await push('--bwlimit', '100K', '--max-time', '3s');
    expect(stopped.code).toBe(75);
    expect(stopped.stderr).toContain('--max-time');
    expect((await push()).code).toBe(0);
  });

  it.each(['plan', 'verify'])('stops a %s', async (command) => {
    const silent = script('silent-rsh', 'exec sleep 60');
    const words = [command, '-C', source, '--passfile', at('pw'), '--max-time', '2s'];
    const stopped = await cli.run([...words, '--rsh', silent, 'host:' + at('copy')]);
    expect(stopped.code).toBe(75);
    expect(stopped.stderr).toContain('stopped after 0:02, the --max-time');
  });

  it('leaves out a push that is not due', async () => {
    await push();
    const runs = readHistory(path.join(source, '.ecsync')).length;
    const skipped = await push('--if-older-than', '1h', '-v');
    expect(skipped.code).toBe(0);
    expect(skipped.stderr).toContain('not due');
    expect(readHistory(path.join(source, '.ecsync'))).toHaveLength(runs);
    await setTimeout(1100);
    expect((await push('--if-older-than', '1s', '-v')).stderr).not.toContain('not due');
  });
});

describe('--all', () => {
  it('pushes to every remote, and ends with the worst exit code', async () => {
    const more = (name: string, url: string): string =>
      `\n[[remotes]]\nname = "${name}"\nurl = "${url}"\n`;
    const lost = more('lost', at('pw/folder/copy'));
    writeFileSync(vaultConfig(), plainConfig + lost + more('other', at('copy-other')));
    const result = await push('--all', '--json');
    expect(result.code).toBe(5);
    expect(existsSync(at('copy-other/gocryptfs.conf'))).toBe(true);
    const events = result.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(
      events
        .filter(({ type }) => type === 'push')
        .map(({ remote, exitCode }) => [remote, exitCode]),
    ).toEqual([
      ['home', 0],
      ['lost', 5],
      ['other', 0],
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'summary', exitCode: 5 });
    expect((await push('--all', 'file')).code).toBe(5);
    expect((await push('--all', '--masterkey=stdin')).code).toBe(2);
  });
});

describe('rsh and rsync_path of a remote', () => {
  it('count for all that reaches it, not for pushes alone', async () => {
    const far = `\n[[remotes]]\nname = "far"\nurl = "host:${at('copy-far')}"\n[remotes.push]\nrsh = "${flakyShell(0)}"\nrsync_path = "rsync"\n`;
    writeFileSync(vaultConfig(), plainConfig + far);
    expect((await push('far')).code).toBe(0);
    const reading = ['-C', source, '--passfile', at('pw')];
    expect(await cli.run(['ls', '--from', 'far', ...reading])).toMatchObject({ code: 0 });
    expect(await cli.run(['fsck', 'far', ...reading])).toMatchObject({ code: 0 });
    const target = ['--to', at('restored-far')];
    expect(await cli.run(['restore', '--from', 'far', ...target, ...reading])).toMatchObject({
      code: 0,
    });
    expect(await cli.run(['remote', 'test', 'far', '-C', source])).toMatchObject({ code: 0 });
    expect((await cli.run(['doctor', '-C', source])).stdout).toContain('can push');
    const elsewhere = await cli.run(['ls', '--from', 'far', '--rsh', 'false', ...reading]);
    expect(elsewhere.code).not.toBe(0);
  });
});

describe('hooks', () => {
  const told = (): string => readFileSync(at('told'), 'utf8');
  const hooks = (lines: string): void => {
    rmSync(at('told'), { force: true });
    writeFileSync(vaultConfig(), `${plainConfig}\n[hooks]\n${lines}\n`);
  };
  const teller = (): string =>
    script(
      'tell',
      `echo "$1 $ECSYNC_COMMAND $ECSYNC_REMOTE $PWD [$ECSYNC_EXIT_CODE] $ECSYNC_ERROR_CODE" >>${at('told')}; env | grep -c -i secret >>${at('told')}; exit \${2:-0}`,
    );

  it('run before and after, with the facts in their environment and no secret', async () => {
    hooks(
      `before = "${teller()} 'be fore'"\nafter = ["${at('tell')}", "after"]\non_error = "${at('tell')} bad"`,
    );
    const result = await cli.run(['push', '-C', source], { env: { ECSYNC_PASSWORD: 'secret' } });
    expect(result.code).toBe(0);
    expect(told()).toBe(`be fore push home ${source} [] \n0\nafter push home ${source} [0] \n0\n`);
  });

  it('call on_error when a push fails', async () => {
    hooks(`on_error = "${teller()} bad"`);
    expect((await cli.run(['push', '-C', source])).code).toBe(12);
    expect(told()).toContain('bad push home');
    expect(told()).toContain('[12] password-missing');
  });

  it('stop a push from before, for good or for now', async () => {
    hooks(`before = "${teller()} no 1"`);
    const refused = await push();
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("the hook 'before' ended with status 1");
    hooks(`before = "${at('tell')} later 75"\non_error = "${at('tell')} bad"`);
    expect((await push()).code).toBe(75);
    expect(told()).not.toContain('bad');
    hooks('before = "/nonexistent/program"');
    expect((await push()).stderr).toContain('cannot be started');
  });

  it('do not make a push fail from after, and do not run in a dry run', async () => {
    hooks(`after = "${teller()} after 3"`);
    expect((await push('-n')).code).toBe(0);
    expect(existsSync(at('told'))).toBe(false);
    const result = await push();
    expect(result.code).toBe(0);
    expect(result.stderr).toContain("warning: the hook 'after' ended with status 3");
  });
});

describe('a frozen source that the hook before a push names', () => {
  const hook = (body: string): void => {
    const before = script('freeze', body);
    const after = script('thaw', `echo "$ECSYNC_FROZEN_SOURCE" >${at('thawed')}`);
    writeFileSync(
      vaultConfig(),
      `${plainConfig}\n[push]\nexclude = ["*.tmp"]\n[hooks]\nbefore = "${before}"\nafter = "${after}"\n`,
    );
  };
  const inCopy = async (...words: string[]): Promise<string> =>
    (await cli.run([...words, '-C', source, '--passfile', at('pw')])).stdout;

  it('is read in place of the folder, by its rules and without the vault', async () => {
    writeFileSync(path.join(source, 'kept'), 'as it was');
    writeFileSync(path.join(source, 'left.tmp'), 'not this');
    mkdirSync(path.join(source, 'was'));
    writeFileSync(path.join(source, 'was/moved'), 'x'.repeat(50_000));
    hook(
      `rm -rf ${at('frozen')}; cp -a ${source} ${at('frozen')}; echo later >${source}/kept; rm ${source}/was/moved; echo freezing; echo ECSYNC_SOURCE=${at('frozen')}`,
    );
    const result = await push('--delete');
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toContain('freezing\n');
    expect(readFileSync(at('thawed'), 'utf8')).toBe(`${at('frozen')}\n`);
    expect(await inCopy('cat', 'kept')).toBe('as it was');
    const listed = (await inCopy('ls', '-R')).split('\n');
    expect(listed).toContain('was/moved');
    expect(listed.filter((name) => /ecsync|tmp/.test(name))).toEqual([]);
    writeFileSync(vaultConfig(), plainConfig);
    const live = await push('--delete', '-i', '--exclude', '*.tmp');
    expect(live.code, live.stderr).toBe(0);
    expect(live.stdout).toContain(' kept\n');
    expect(live.stdout).toContain('*deleting   was/moved');
    expect(await inCopy('cat', 'kept')).toBe('later\n');
  });

  const withLink = (): string => {
    mkdirSync(at('with-link'), { recursive: true });
    symlinkSync(path.join(source, '.ecsync'), at('with-link/.ecsync'));
    return at('with-link');
  };

  it.each([
    ['is not there', () => at('nowhere'), 'is not a folder'],
    ['is relative', () => 'frozen', 'no absolute path'],
    ['is another folder', () => built, 'no state of this vault'],
    ['overlaps with the destination', () => at('copy'), 'overlaps'],
    ['holds a link to the vault', withLink, 'no state of this vault'],
  ])('that %s is refused, and nothing is pushed', async (_, folder, why) => {
    writeFileSync(path.join(source, 'kept'), `changed for ${why}`);
    const before = await inCopy('cat', 'kept');
    hook(`echo ECSYNC_SOURCE=${folder()}`);
    const refused = await push('--delete');
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain(why);
    expect(await inCopy('cat', 'kept')).toBe(before);
    writeFileSync(vaultConfig(), plainConfig);
  });
});

describe('a healthcheck', () => {
  it('hears of start, success and failure, and nothing but the exit code', async () => {
    const heard: string[] = [];
    const server: Server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        heard.push(`${request.url ?? ''} ${body}`);
        response.end('OK');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const notify = `\n[notify]\nhealthcheck = "http://127.0.0.1:${port}/ping/uuid"\n`;
    writeFileSync(vaultConfig(), plainConfig + notify);
    try {
      await push();
      expect(heard).toEqual(['/ping/uuid/start ', '/ping/uuid exit code 0']);
      heard.length = 0;
      await cli.run(['push', '-C', source]);
      expect(heard).toEqual(['/ping/uuid/start ', '/ping/uuid/fail exit code 12']);
      heard.length = 0;
      writeFileSync(vaultConfig(), `${plainConfig}${notify}healthcheck_log = true\n`);
      const failed = await cli.run(['push', '-C', source]);
      const [, told = ''] = /^ecsync: (.*)$/m.exec(failed.stderr) ?? [];
      expect(heard[1]).toBe(`/ping/uuid/fail exit code 12\n${told}`);
      heard.length = 0;
      await push();
      expect(heard[1]).toBe('/ping/uuid exit code 0');
      writeFileSync(vaultConfig(), plainConfig + notify);
    } finally {
      server.closeAllConnections();
      server.close();
    }
    const unheard = await push();
    expect(unheard.code).toBe(0);
    expect(unheard.stderr).toContain(`the healthcheck at 127.0.0.1:${port} cannot be reached`);
    expect(unheard.stderr).not.toContain('uuid');
  });
});

describe('a message on the desktop', () => {
  it('is shown when a push failed', async () => {
    mkdirSync(at('bin'), { recursive: true });
    writeFileSync(at('bin/notify-send'), `#!/bin/sh\nprintf '%s|' "$@" >${at('shown')}\n`, {
      mode: 0o755,
    });
    writeFileSync(vaultConfig(), `${plainConfig}\n[notify]\ndesktop = true\n`);
    const PATH = `${at('bin')}:${process.env['PATH'] ?? ''}`;
    await cli.run(['push', '-C', source, '--passfile', at('pw')], { env: { PATH } });
    expect(existsSync(at('shown'))).toBe(false);
    await cli.run(['push', '-C', source], { env: { PATH } });
    expect(readFileSync(at('shown'), 'utf8')).toBe(
      '--app-name=ecsync|--|ecsync|push to home failed: no password is given and there is no terminal|',
    );
  });
});

describe('unlock', () => {
  const lock = (): string => path.join(source, '.ecsync/lock');
  const unlock = (...words: readonly string[]): Promise<CliResult> =>
    cli.run(['unlock', '-C', source, ...words]);
  const hold = (holder: object): void => {
    const rest = { id: 'ab', pidSpace: '', started: '', since: '2026-01-01T00:00:00Z' };
    writeFileSync(lock(), JSON.stringify({ ...rest, ...holder }));
  };

  it('says that there is none', async () => {
    expect(await unlock()).toMatchObject({ code: 0, stderr: 'There is no lock.\n' });
  });

  it('removes what a killed run left behind', async () => {
    hold({ pid: 0, host: os.hostname() });
    expect((await unlock()).stderr).toContain('which is gone');
    expect(existsSync(lock())).toBe(false);
  });

  it('asks for --force for the lock of another machine', async () => {
    hold({ pid: 1, host: 'elsewhere.example' });
    const refused = await unlock();
    expect(refused.code).toBe(11);
    expect(refused.stderr).toContain('elsewhere.example');
    expect(existsSync(lock())).toBe(true);
    expect((await unlock('--force')).code).toBe(0);
    expect(existsSync(lock())).toBe(false);
  });

  it('never takes the lock from a process that runs here', async () => {
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `import { acquireLock } from ${JSON.stringify(path.join(built, 'dist/vault/lock.js'))};
acquireLock(${JSON.stringify(lock())}); console.log('held'); setInterval(() => 0, 1000);`,
    ]);
    await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
    expect((await unlock('--force')).code).toBe(11);
    expect(existsSync(lock())).toBe(true);
    child.kill('SIGKILL');
    await new Promise<void>((resolve) => child.once('exit', () => resolve()));
    expect((await unlock()).code).toBe(0);
  });
});
