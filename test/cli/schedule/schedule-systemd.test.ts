import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { buildSources } from '../support/built.ts';
import { Cli } from '../support/cli.ts';
import { inOwnMachine, type ScriptResult } from '../support/own-machine.ts';

// Jobs of a real systemd user manager, started in name spaces of its own because this machine need
// not have booted with systemd.

let built: string;
let cli: Cli;
let folder: string;
let vault: string;
let copy: string;

beforeAll(() => {
  built = buildSources();
  cli = new Cli(built);
});
afterAll(() => rmSync(built, { recursive: true }));

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ecsync-systemd-')));
  // Everything that means something in a unit, and no ASCII alone.
  vault = path.join(folder, `ein "Ordner" $HOME %h \\ o'k ü`);
  copy = path.join(folder, 'copy');
  mkdirSync(vault);
  writeFileSync(path.join(folder, 'pass word%n'), 'secret\n', { mode: 0o600 });
  const secret = ['--passfile', path.join(folder, 'pass word%n')];
  expect((await cli.run(['init', '--scryptn', '10', ...secret, vault])).code).toBe(0);
  writeFileSync(path.join(vault, 'one.txt'), 'one');
  expect((await cli.run(['remote', 'add', 'usb', copy], { cwd: vault })).code).toBe(0);
  return () => rmSync(folder, { recursive: true });
});

/** `$ecsync` is the command in the vault, `$FOLDER` the test's folder. */
function script(lines: readonly string[]): Promise<ScriptResult> {
  const start = 'ecsync() { "$NODE" "$MAIN" "$@"; }; cd "$VAULT"';
  return inOwnMachine('systemd', [start, ...lines].join('\n'), {
    HOME: folder,
    FOLDER: folder,
    VAULT: vault,
    NODE: process.execPath,
    MAIN: cli.main,
  });
}

function units(): readonly string[] {
  return readdirSync(path.join(folder, '.config/systemd/user'), {
    recursive: true,
    encoding: 'utf8',
  });
}

it('installs a timer, has systemd push, shows it and takes it away without a trace', async () => {
  const result = await script([
    'ecsync schedule install --every 15m -- --passfile "$FOLDER/pass word%n" || exit 1',
    'ecsync schedule install --every 1h -- --passfile "$FOLDER/pass word%n" --exclude "*.t mp" || exit 2',
    'echo "active: $(systemctl --user list-timers --all | grep -c ecsync-)"',
    'ecsync schedule test || exit 3',
    'ls "$FOLDER/copy" | wc -l',
    'ecsync schedule show || exit 4',
    'ecsync schedule remove || exit 5',
    // systemd forgets a unit a moment after it is told to. Mounts of other tests are units, too.
    'left() { systemctl --user list-units --all --no-legend "ecsync-*" | grep -c .; }',
    'for i in $(seq 100); do [ "$(left)" = 0 ] && break; sleep 0.1; done; echo "left: $(left)"',
    'ecsync schedule test; echo "without: $?"',
  ]);
  expect(result.stderr).toContain('Installed with systemd');
  expect(result.stderr).not.toContain('cron');
  expect({ code: result.code, out: result.stdout }).toEqual({
    code: 0,
    out: expect.stringMatching(
      /^active: 1\nlast .* exit code 0\n {12}usb: pushed\n[3-9]\nscheduler {3}systemd\n(job .*\n){2}next {8}[-\d]{10} \d\d:\d\d\nlast .* exit code 0\n {12}usb: pushed\nleft: 0\nwithout: 2\n$/,
    ) as string,
  });
  expect(units().filter((name) => name.includes('ecsync'))).toEqual([]);
});

it('hands the password over as a credential, which stands in no unit', async () => {
  const result = await script([
    'ecsync schedule install --at 02:30 --credential "$FOLDER/pass word%n" || exit 1',
    'ecsync schedule test || exit 2',
    'echo "found: $(cat "$FOLDER"/.config/systemd/user/ecsync-* | grep -c secret)"',
  ]);
  expect(result.stderr).toContain('Installed with systemd');
  expect({ code: result.code, out: result.stdout }).toEqual({
    code: 0,
    out: expect.stringMatching(/usb: pushed\nfound: 0\n$/) as string,
  });
  expect(existsSync(path.join(copy, 'gocryptfs.conf'))).toBe(true);
});

it('reports a push that fails for want of its password file, with the exit code of push', async () => {
  const result = await script([
    'cp "$FOLDER/pass word%n" "$FOLDER/nowhere"',
    'ecsync schedule install -- --passfile "$FOLDER/nowhere" || exit 1',
    'rm "$FOLDER/nowhere"',
    'ecsync schedule test',
  ]);
  expect(result.code).toBe(12);
  expect(result.stdout).toMatch(/exit code 12\n.*nowhere/);
});
