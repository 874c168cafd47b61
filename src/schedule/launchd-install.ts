/** Installs jobs as launch agents of macOS. */
import path from 'node:path';
import { assertDone, notLoaded, type Installer } from './installer.ts';
import { launchdLabel, launchdPlist } from './launchd-plist.ts';
import type { Machine } from './machine.ts';
import { nextMinute, nextTime, type TimeOfDay } from './rhythm.ts';

/** Jobs as launch agents: `~/Library/LaunchAgents/ecsync.NAME.plist`. */
export function launchdInstaller(machine: Machine): Installer {
  const domain = `gui/${machine.uid}`;
  const logs = path.join(machine.home, 'Library', 'Logs', 'ecsync');
  const fileOf = (name: string): string =>
    path.join(machine.home, 'Library', 'LaunchAgents', `${launchdLabel(name)}.plist`);
  const logOf = (name: string): string => path.join(logs, `${name}.log`);
  return {
    scheduler: 'launchd',
    files: (plan) => [
      { shownPlace: fileOf(plan.name), text: launchdPlist(plan, logOf(plan.name)) },
    ],
    async install(plan) {
      const text = launchdPlist(plan, logOf(plan.name));
      const file = fileOf(plan.name);
      machine.makeFolder(logs);
      machine.write(file, text);
      // It is no failure that the agent is not loaded yet.
      await machine.run('launchctl', ['bootout', `${domain}/${launchdLabel(plan.name)}`]);
      const words = ['bootstrap', domain, file];
      assertDone('launchctl', words, await machine.run('launchctl', words));
      return [
        `Its output goes to ${logOf(plan.name)}.`,
        'If the folder is Desktop, Documents or another protected folder, macOS requires Full Disk Access for node.',
      ];
    },
    async remove(name) {
      await machine.run('launchctl', ['bootout', `${domain}/${launchdLabel(name)}`]);
      return machine.remove(fileOf(name));
    },
    async show(name, nowMs) {
      const text = machine.read(fileOf(name))?.toString();
      if (text === undefined) return undefined;
      const words = ['print', `${domain}/${launchdLabel(name)}`];
      const { status } = await machine.run('launchctl', words);
      const nextMs = nextRun(text, nowMs);
      return {
        places: [fileOf(name)],
        ...(status !== 0 && { inactive: notLoaded('launchd has not loaded the agent') }),
        ...(nextMs === undefined ? {} : { nextRun: nextMs }),
      };
    },
    async start(name) {
      const words = ['kickstart', `${domain}/${launchdLabel(name)}`];
      assertDone('launchctl', words, await machine.run('launchctl', words));
      return { shownHow: ['launchctl', ...words].join(' ') };
    },
  };
}

/** Reads the times back from a file made by `launchdPlist`. */
function nextRun(plist: string, nowMs: number): number | undefined {
  const times: TimeOfDay[] = [];
  const minutes: number[] = [];
  for (const [, dict = ''] of plist.matchAll(
    /<dict>((?:\s|<key>\w+<\/key>|<integer>\d+<\/integer>)*)<\/dict>/g,
  )) {
    const numberOf = (key: string): number | undefined => {
      const digits = new RegExp(`<key>${key}</key>\\s*<integer>(\\d{1,2})</integer>`).exec(
        dict,
      )?.[1];
      return digits === undefined ? undefined : Number(digits);
    };
    const [hour, minute] = [numberOf('Hour'), numberOf('Minute')];
    if (minute === undefined) continue;
    if (hour === undefined) minutes.push(minute);
    else times.push({ hour, minute });
  }
  if (times.length > 0) return nextTime(times, nowMs);
  return minutes.length > 0 ? nextMinute(minutes, nowMs) : undefined;
}
