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

/** The schedulers available on this system, the preferred one first. */
export function schedulersOf(platform: NodeJS.Platform): readonly Scheduler[] {
  if (platform === 'win32') return ['windows'];
  return platform === 'darwin' ? ['launchd', 'cron'] : ['systemd', 'cron'];
}

/**
 * Chooses the scheduler for this machine.
 *
 * @returns the scheduler, with a note when it is not the preferred one
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
      note: 'This user has no systemd session, so cron is used.',
    };
  }
  throw new UsageError('no-scheduler', 'this machine has no scheduler that ecsync supports', {
    hint: 'It has neither a systemd session for this user nor cron. To see what would be installed: ecsync schedule install --platform cron --print',
  });
}
