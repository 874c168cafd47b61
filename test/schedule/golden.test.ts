import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { cronBlock } from '../../src/schedule/crontab.ts';
import { launchdPlist } from '../../src/schedule/launchd-plist.ts';
import { systemdService, systemdTimer } from '../../src/schedule/systemd-units.ts';
import { encodeTask, windowsTask } from '../../src/schedule/windows-task.ts';
import { jobArguments } from '../../src/schedule/plan.ts';
import { HARD_PLAN, HARD_WINDOWS_PLAN, planWith, unescapeXml } from './support.ts';

// Whole files, byte for byte, and the verdicts of the programs that read such files.

const FIXTURES = path.resolve(import.meta.dirname, '../../fixtures/schedule');
const LOG = '/Users/ann/Library/Logs/ecsync/photos-0123456789.log';
const ROUTINE = planWith();
const HARD = planWith(HARD_PLAN);
const CREDENTIAL = planWith({ credential: { file: '/etc/my keys/100%', isEncrypted: true } });

const FILES: readonly (readonly [string, () => string])[] = [
  ['routine.service', () => systemdService(ROUTINE)],
  ['routine.timer', () => systemdTimer(ROUTINE)],
  ['hard.service', () => systemdService(HARD)],
  ['hard.timer', () => systemdTimer(HARD)],
  ['credential.service', () => systemdService(CREDENTIAL)],
  ['routine.plist', () => launchdPlist({ ...ROUTINE, searchPath: '/usr/bin:/bin' }, LOG)],
  ['hard.plist', () => launchdPlist(HARD, LOG)],
  ['routine.xml', () => windowsTask(ROUTINE)],
  ['hard.xml', () => windowsTask(planWith(HARD_WINDOWS_PLAN))],
  ['routine.crontab', () => `${cronBlock(ROUTINE).join('\n')}\n`],
  ['hard.crontab', () => `${cronBlock(HARD).join('\n')}\n`],
];

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'ecsync-golden-'));
  return () => rmSync(folder, { recursive: true });
});

it.each(FILES)('%s is unchanged', (name, make) => {
  // A Windows file keeps its own line endings; git must not convert them.
  const golden = readFileSync(path.join(FIXTURES, name), 'utf8');
  expect(make().replaceAll('\r\n', '\n')).toBe(golden);
});

it('systemd-analyze verify reports nothing about the units', () => {
  const node = path.join(folder, 'o$HOME ü %h node');
  writeFileSync(node, '#!/bin/sh\n', { mode: 0o755 });
  const plans = [
    planWith({ node }),
    planWith({ ...HARD_PLAN, node }),
    planWith({ node: `/nowhere/"o'k" \\` }),
    { ...CREDENTIAL, node },
  ];
  for (const [i, plan] of plans.entries()) {
    const files = [
      [`ecsync-${i}.service`, systemdService(plan)],
      [`ecsync-${i}.timer`, systemdTimer(plan)],
    ] as const;
    for (const [name, text] of files) writeFileSync(path.join(folder, name), text);
    const words = ['--user', 'verify', ...files.map(([name]) => path.join(folder, name))];
    const env = { PATH: process.env['PATH'], HOME: folder, XDG_RUNTIME_DIR: folder };
    expect(execFileSync('systemd-analyze', words, { env, stdio: 'pipe' }).toString()).toBe('');
  }
});

it('systemd-analyze says the timers elapse when they should', () => {
  const elapses = (text: string): readonly string[] =>
    [...text.matchAll(/^OnCalendar=(.*)$/gm)].flatMap(([, when = '']) => {
      const words = ['calendar', '--base-time=2026-03-01 00:00:00', '--iterations=2', when];
      const out = execFileSync('systemd-analyze', words, { env: { ...process.env, TZ: 'UTC' } });
      return [...out.toString().matchAll(/(?:elapse|#2): \w+ (\S+ \S+) UTC/g)].map(
        ([, moment = '']) => moment,
      );
    });
  expect(elapses(systemdTimer(ROUTINE))).toEqual(['2026-03-01 00:15:00', '2026-03-01 00:30:00']);
  expect(elapses(systemdTimer(HARD))).toEqual([
    '2026-03-01 02:30:00',
    '2026-03-02 02:30:00',
    '2026-03-01 14:00:00',
    '2026-03-02 14:00:00',
  ]);
});

it('xmllint reads the task as UTF-16 with a byte order mark, and the arguments are right', () => {
  const file = path.join(folder, 'task.xml');
  writeFileSync(file, encodeTask(windowsTask(planWith(HARD_WINDOWS_PLAN))));
  expect(readFileSync(file).subarray(0, 4)).toEqual(Buffer.from([0xff, 0xfe, 0x3c, 0x00]));
  const xpath = 'string(//*[local-name()="Arguments"])';
  const read = execFileSync('xmllint', ['--nonet', '--xpath', xpath, file]).toString();
  expect(read).toContain(`"--vault-dir" "C:\\Users\\Ann\\100% ü & o'k\\.ecsync" "--at"`);
});

it('plistutil reads the agent, and writes the same words', () => {
  const file = path.join(folder, 'agent.plist');
  writeFileSync(file, launchdPlist(HARD, LOG));
  const binary = path.join(folder, 'agent.bin');
  execFileSync('plistutil', ['-i', file, '-f', 'bin', '-o', binary]);
  const xml = execFileSync('plistutil', ['-i', binary, '-f', 'xml']).toString();
  const strings = [...xml.matchAll(/<string>(.*?)<\/string>/gs)].map(([, text = '']) =>
    unescapeXml(text),
  );
  const words = jobArguments(HARD);
  expect(strings.slice(1, words.length + 1)).toEqual(words);
  expect(
    [...xml.matchAll(/<integer>(\d+)<\/integer>/g)].map(([, digits]) => Number(digits)),
  ).toEqual(expect.arrayContaining([2, 30, 14, 0]));
});
