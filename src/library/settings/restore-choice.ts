/** Choices of the user for a restore, and the settings derived from them. */
import { settingsOf, type OptionsOf } from '../../options/option-table.ts';
import { ATTRIBUTE_OPTIONS } from '../../options/push-options.ts';
import type { RestoreSettings } from '../../sync/restore/restore-settings.ts';
import type { PeerSettings } from '../../sync/run-settings.ts';
import type { RatePlan } from '../../transport/throttle.ts';

/** What is restored of each object, and how. */
export interface RestoreChoice extends Partial<
  Omit<OptionsOf<typeof ATTRIBUTE_OPTIONS>, 'perms' | 'devices'>
> {
  /** Absent: masked by the umask. */
  readonly perms?: boolean;
  readonly specialModes?: boolean;
  /** Absent: devices are left out, and the restore counts as partial. */
  readonly devices?: boolean;
  readonly xattrs?: boolean;
  readonly dryRun?: boolean;
  readonly bwlimit?: RatePlan;
  readonly allowHoles?: boolean;
  readonly allowMoved?: boolean;
  readonly keep?: readonly string[];
  /** For tests: as if the target could hold only such names. */
  readonly names?: 'any' | 'windows';
}

/** The settings of a restore that depend on these choices alone. */
export function restoringSettings(
  choice: RestoreChoice,
): Omit<RestoreSettings, 'from' | 'target' | 'paths' | 'rules' | keyof PeerSettings> {
  const { names, perms, specialModes, devices, bwlimit } = choice;
  const carried = { ...choice, perms: perms ?? specialModes ?? false, devices: devices ?? false };
  return {
    dryRun: choice.dryRun === true,
    xattrs: choice.xattrs === true,
    allowHoles: choice.allowHoles === true,
    allowMoved: choice.allowMoved === true,
    ...(choice.keep && { keep: choice.keep }),
    ...settingsOf(ATTRIBUTE_OPTIONS, carried),
    specialModes: specialModes === true,
    withoutDevices: devices === false,
    ...(names !== undefined && { names }),
    ...(bwlimit !== undefined && { bandwidth: bwlimit }),
  };
}
