import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
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

// Debian's cron and crontab, with a spool folder of their own.

let built: string;
let cli: Cli;
let folder: string;
let vault: string;

beforeAll(() => {
  built = buildSources();
  cli = new Cli(built);
});
afterAll(() => rmSync(built, { recursive: true }));

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ecsync-cron-')));
  vault = path.join(folder, `100% "of" o'k $HOME \\\\ ü`);
  mkdirSync(vault);
  writeFileSync(path.join(folder, 'pass%word'), 'secret\n', { mode: 0o600 });
  const secret = ['--passfile', path.join(folder, 'pass%word')];
  expect((await cli.run(['init', '--scryptn', '10', ...secret, vault])).code).toBe(0);
  writeFileSync(path.join(vault, 'one.txt'), 'one');
  expect(
    (await cli.run(['remote', 'add', 'usb', path.join(folder, 'copy')], { cwd: vault })).code,
  ).toBe(0);
  return () => rmSync(folder, { recursive: true });
});

function script(lines: readonly string[]): Promise<ScriptResult> {
  const start = 'ecsync() { "$NODE" "$MAIN" "$@"; }; cd "$VAULT"';
  return inOwnMachine('cron', [start, ...lines].join('\n'), {
    HOME: folder,
    FOLDER: folder,
    VAULT: vault,
    NODE: process.execPath,
    MAIN: cli.main,
  });
}

it('installs beside other lines, says why cron, starts the line, and takes only its own away', async () => {
  const result = await script([
    `printf '# bytes that are no UTF-8: \\377\\n0 1 * * * other 100\\\\%%\\n' | crontab -`,
    'crontab -l > "$FOLDER/before"',
    'ecsync schedule install --at 02:30 -- --passfile "$FOLDER/pass%word" || exit 1',
    'ecsync schedule install --every 1h -- --passfile "$FOLDER/pass%word" || exit 2',
    'crontab -l | grep -c "schedule run"',
    'ecsync schedule test || exit 3',
    'mv .ecsync ../gone',
    'ecsync schedule remove; echo "without: $?"',
    'ecsync schedule remove --vault-dir "$VAULT/.ecsync" || exit 4',
    'crontab -l > "$FOLDER/after"',
  ]);
  expect(result.stderr).toContain('This user has no systemd session, so cron is used.');
  expect(result.stderr).toContain('--vault-dir FOLDER/.ecsync');
  expect(result.stderr).toContain("cron's environment, not by cron itself");
  expect({ code: result.code, out: result.stdout }).toEqual({
    code: 0,
    out: expect.stringMatching(
      /^1\nlast {8}[-\d]{10} \d\d:\d\d, .* exit code 0\n {12}usb: pushed\nwithout: 10\n$/,
    ) as string,
  });
  expect(readFileSync(path.join(folder, 'after'))).toEqual(
    readFileSync(path.join(folder, 'before')),
  );
});

it('says at once that no cron daemon runs, wherever the job is looked at', async () => {
  const noDaemon = 'no cron daemon runs on this machine';
  const result = await script([
    'ecsync schedule install --every 1h -- --passfile "$FOLDER/pass%word" || exit 1',
    'ecsync schedule show',
    'ecsync schedule show --json | grep -c \'"active":false\'',
    'ecsync status | grep schedule',
    'ecsync doctor --offline | grep schedule',
    'ecsync schedule test >/dev/null || exit 3',
    // With a daemon nothing is said any more.
    'cron -f >/dev/null 2>&1 &',
    'for i in $(seq 100); do [ "$(cat /proc/$!/comm)" = cron ] && break; sleep 0.1; done',
    'echo daemon; ecsync schedule show | head -1; ecsync status | grep schedule',
    'ecsync schedule install --every 1h -- --passfile "$FOLDER/pass%word" 2>&1 | grep -c warning',
    'exit 0',
  ]);
  expect(result.code).toBe(0);
  expect(result.stderr).toContain(
    `warning: the job is installed, but nothing starts it: ${noDaemon}. Start it, now and at every boot: systemctl enable --now cron`,
  );
  expect(result.stderr).not.toContain('Next run:');
  expect(result.stderr).toContain(`The job works, but nothing starts it: ${noDaemon}.`);
  const [before = '', after = ''] = result.stdout.split('daemon\nscheduler');
  expect(before).toContain(`scheduler   cron (installed, but not active: ${noDaemon})\n`);
  expect(before).not.toContain('next  ');
  expect(before).toContain(`schedule  cron, installed, but not active: ${noDaemon}\n`);
  expect(before).toMatch(/^1$/m);
  expect(before).toMatch(
    new RegExp(`^look +schedule: cron: installed, but not active: ${noDaemon}`, 'm'),
  );
  expect(after).toMatch(/^ {3}cron\nschedule {2}cron, next [-\d]{10} \d\d:\d\d\n0\n$/);
});

it(
  'a real cron daemon starts the job at its minute, and the copy is there',
  { timeout: 240_000 },
  async () => {
    const result = await script([
      // The next minute, or the one after it when this one is nearly over. cron starts afterwards: it
      // reads a crontab a minute before it acts on it.
      'at=$(date -d "$((120 - $(date +%-S)))seconds" +%H:%M)',
      '[ $(date +%-S) -lt 45 ] && at=$(date -d "$((60 - $(date +%-S)))seconds" +%H:%M)',
      'ecsync schedule install --at "$at" -- --passfile "$FOLDER/pass%word" || exit 1',
      'cron -f >/dev/null 2>&1 &',
      'for i in $(seq 180); do',
      '  ecsync schedule show | grep -q "exit code" && break; sleep 1',
      'done',
      'ecsync schedule show',
    ]);
    expect({ code: result.code, out: result.stdout }).toEqual({
      code: 0,
      out: expect.stringMatching(
        /^scheduler {3}cron\n.*\nnext .*\nlast .* exit code 0\n {12}usb: pushed\n$/,
      ) as string,
    });
    expect(existsSync(path.join(folder, 'copy/gocryptfs.conf'))).toBe(true);
  },
);
