/** Installs jobs as user units of systemd. */
import path from 'node:path';
import { assertDone, notLoaded, type InstalledJob, type Installer } from './installer.ts';
import type { Machine, ProgramResult } from './machine.ts';
import { systemdService, systemdTimer, unitName } from './systemd-units.ts';

/** Whether a systemd of this user answers. */
export async function hasUserSystemd(machine: Machine): Promise<boolean> {
  const { status } = await machine.run('systemctl', ['--user', 'show-environment']);
  return status === 0;
}

/** Jobs as user units: `~/.config/systemd/user/ecsync-NAME.service` and `.timer`. */
export function systemdInstaller(machine: Machine): Installer {
  const folder = path.join(machine.configFolder, 'systemd', 'user');
  const fileOf = (name: string, kind: 'service' | 'timer'): string =>
    path.join(folder, unitName(name, kind));
  const systemctl = (...words: readonly string[]): Promise<ProgramResult> =>
    machine.run('systemctl', ['--user', ...words]);
  const systemctlOrThrow = async (...words: readonly string[]): Promise<ProgramResult> => {
    const result = await systemctl(...words);
    assertDone('systemctl', ['--user', ...words], result);
    return result;
  };
  return {
    scheduler: 'systemd',
    files: (plan) => [
      { shownPlace: fileOf(plan.name, 'service'), text: systemdService(plan) },
      { shownPlace: fileOf(plan.name, 'timer'), text: systemdTimer(plan) },
    ],
    async install(plan) {
      const [service, timer] = [systemdService(plan), systemdTimer(plan)];
      machine.write(fileOf(plan.name, 'service'), service);
      machine.write(fileOf(plan.name, 'timer'), timer);
      await systemctlOrThrow('daemon-reload');
      await systemctlOrThrow('enable', unitName(plan.name, 'timer'));
      // A running timer keeps its old times until it is restarted.
      await systemctlOrThrow('restart', unitName(plan.name, 'timer'));
      return lingerHint(machine);
    },
    async remove(name) {
      const timer = unitName(name, 'timer');
      // A running push is not stopped. Without a session only the files can be removed.
      await systemctl('disable', '--now', timer);
      machine.remove(path.join(folder, 'timers.target.wants', timer));
      const removed = [
        machine.remove(fileOf(name, 'timer')),
        machine.remove(fileOf(name, 'service')),
      ];
      if (removed.includes(true)) await systemctl('daemon-reload');
      return removed.includes(true);
    },
    async show(name) {
      const places = [fileOf(name, 'service'), fileOf(name, 'timer')];
      if (!places.some((file) => machine.read(file) !== undefined)) return undefined;
      const properties = ['-p', 'ActiveState', '-p', 'NextElapseUSecRealtime'];
      const { status, stdout } = await systemctl('show', unitName(name, 'timer'), ...properties);
      return describe(places, status === 0 ? stdout : '');
    },
    async start(name) {
      const unit = unitName(name, 'service');
      const shownHow = `systemctl --user start ${unit}`;
      const started = await systemctl('start', unit);
      if (started.status === undefined) assertDone('systemctl', ['--user', 'start', unit], started);
      const { stdout } = await systemctlOrThrow(
        'show',
        unit,
        '-p',
        'ExecMainStatus',
        '-p',
        'Result',
      );
      return { shownHow, ended: { shownStatus: stdout.trim().split('\n').join(', ') } };
    },
  };
}

function describe(places: readonly string[], properties: string): InstalledJob {
  const elapse = /^NextElapseUSecRealtime=(.+)$/m.exec(properties)?.[1];
  // "Sun 2026-11-29 23:27:00 UTC", local time
  const next = /\d{4}-\d{2}-\d{2} \d{2}:\d{2}/.exec(elapse ?? '')?.[0] ?? elapse;
  const isActive = /^ActiveState=active$/m.test(properties);
  return {
    places,
    ...(!isActive && { inactive: notLoaded('the timer is not active') }),
    ...(next === undefined ? {} : { nextRun: next }),
  };
}

async function lingerHint(machine: Machine): Promise<readonly string[]> {
  const words = ['show-user', String(machine.uid), '-p', 'Linger', '--value'];
  const { status, stdout } = await machine.run('loginctl', words);
  if (status === 0 && stdout.trim() === 'yes') return [];
  return ['The timer runs while you are logged in. To have it run always: loginctl enable-linger'];
}
