/** Chooses the scheduler for a job on this machine. */
import { UsageError } from '../errors.ts';
import { cronInstaller, hasCron } from './cron-install.ts';
import type { Installer } from './installer.ts';
import { launchdInstaller } from './launchd-install.ts';
import type { Machine } from './machine.ts';
import type { Scheduler } from './plan.ts';
import { hasUserSystemd, systemdInstaller } from './systemd-install.ts';
import { windowsInstaller } from './windows-install.ts';

const INSTALLERS: Readonly<Record<Scheduler, (machine: Machine) => Installer>> = {
  systemd: systemdInstaller,
  launchd: launchdInstaller,
  windows: windowsInstaller,
  cron: cronInstaller,
};

export function installerFor(scheduler: Scheduler, machine: Machine): Installer {
  return INSTALLERS[scheduler](machine);
}

/** The schedulers that a job may be installed with on this system, the preferred one first. */
export function schedulersOf(platform: NodeJS.Platform): readonly Scheduler[] {
  if (platform === 'win32') return ['windows'];
  return platform === 'darwin' ? ['launchd', 'cron'] : ['systemd', 'cron'];
}

/**
 * The scheduler to use on this machine.
 *
 * @returns with a sentence when it is not the preferred one
 * @throws {UsageError} `no-scheduler`
 */
export async function chooseScheduler(
  platform: NodeJS.Platform,
  machine: Machine,
): Promise<{ readonly scheduler: Scheduler; readonly note?: string }> {
  if (platform === 'win32') return { scheduler: 'windows' };
  if (platform === 'darwin') return { scheduler: 'launchd' };
  if (await hasUserSystemd(machine)) return { scheduler: 'systemd' };
  if (await hasCron(machine)) {
    return {
      scheduler: 'cron',
      note: 'There is no systemd session for this user here, so cron is used.',
    };
  }
  throw new UsageError('no-scheduler', 'this machine has no scheduler that ecsync knows', {
    hint: 'There is neither a systemd session for this user nor cron. See what would be installed: ecsync schedule install --platform cron --print',
  });
}
