/** Conditions that keep an unattended push from starting: a battery, or a metered network. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ExitCode } from '../../errors.ts';
import { programFile } from '../../programs.ts';
import type { Host } from '../frame/host.ts';
import type { CommandResult } from '../frame/report.ts';

/** The conditions of a push. */
export interface Conditions {
  readonly skipOnBattery?: boolean;
  readonly skipOnMetered?: boolean;
}

/** Whether a condition holds. Undefined: unknown on this machine. */
type Answer = boolean | undefined;

/**
 * @returns the result of a push that must not start now, with exit code 75; an unknown condition
 *   does not keep a push from starting
 */
export async function notNow(
  host: Pick<Host, 'platform' | 'environment'>,
  { skipOnBattery, skipOnMetered }: Conditions,
): Promise<CommandResult | undefined> {
  if (skipOnBattery === true && (await isOnBattery(host)) === true) {
    return skipped('on-battery', 'this machine runs on its battery', '--no-skip-on-battery');
  }
  if (skipOnMetered === true && (await isMetered(host)) === true) {
    return skipped('on-metered', 'this network is a metered one', '--no-skip-on-metered');
  }
  return undefined;
}

function skipped(code: string, what: string, option: string): CommandResult {
  const hint = `To push all the same: ecsync push ${option}`;
  return {
    exitCode: ExitCode.notNow,
    error: { code, message: `${what}, nothing was pushed`, hint },
  };
}

const POWERSHELL = ['-NoLogo', '-NoProfile', '-NonInteractive', '-Command'];

/** 1: the battery discharges. Source: Win32_Battery. */
const WINDOWS_BATTERY = '(Get-CimInstance Win32_Battery).BatteryStatus';

/** Source: Windows.Networking.Connectivity.NetworkCostType. Fixed and Variable are metered. */
const WINDOWS_COST =
  '[Windows.Networking.Connectivity.NetworkInformation,Windows.Networking.Connectivity,ContentType=WindowsRuntime]::GetInternetConnectionProfile().GetConnectionCost().NetworkCostType';

async function isOnBattery(host: Pick<Host, 'platform' | 'environment'>): Promise<Answer> {
  if (host.platform === 'linux') return dischargesIn('/sys/class/power_supply');
  if (host.platform === 'darwin') {
    const said = await output(host, '/usr/bin/pmset', ['-g', 'batt']);
    return said?.includes("'Battery Power'");
  }
  if (host.platform !== 'win32') return undefined;
  const said = await output(host, 'powershell.exe', [...POWERSHELL, WINDOWS_BATTERY]);
  return said?.split(/\s+/).includes('1');
}

/**
 * Whether a Linux machine runs on its battery: no mains supply is online, and a battery of the
 * system (not of a mouse) discharges. Source: Documentation/ABI/testing/sysfs-class-power.
 *
 * @param folder - `/sys/class/power_supply`
 */
export function dischargesIn(folder: string): Answer {
  let names: readonly string[];
  try {
    names = fs.readdirSync(folder);
  } catch {
    return undefined;
  }
  const supplies = names.map((name) => {
    const read = (file: string): string => readLine(path.join(folder, name, file));
    return {
      type: read('type'),
      online: read('online'),
      status: read('status'),
      of: read('scope'),
    };
  });
  if (supplies.some(({ type, online }) => type !== 'Battery' && online === '1')) return false;
  return supplies.some(
    ({ type, status, of }) => type === 'Battery' && of !== 'Device' && status === 'Discharging',
  );
}

function readLine(file: string): string {
  try {
    return fs.readFileSync(file, 'latin1').trim();
  } catch {
    return ''; // not every supply has every file
  }
}

/** NetworkManager's `Metered`: 1 is yes, 3 is probably yes. macOS does not tell programs. */
async function isMetered(host: Pick<Host, 'platform' | 'environment'>): Promise<Answer> {
  if (host.platform === 'win32') {
    const said = await output(host, 'powershell.exe', [...POWERSHELL, WINDOWS_COST]);
    return said === undefined ? undefined : /^(?:Fixed|Variable)\b/.test(said);
  }
  if (host.platform !== 'linux') return undefined;
  const manager = 'org.freedesktop.NetworkManager';
  const words = ['get-property', manager, '/org/freedesktop/NetworkManager', manager, 'Metered'];
  const said = await output(host, 'busctl', ['--system', ...words]);
  return said === undefined ? undefined : /^u [13]$/.test(said);
}

const ANSWER_TIMEOUT_MS = 10_000;

/** The output of a program. Undefined if it does not exist, fails, or takes too long. */
function output(
  { environment }: Pick<Host, 'environment'>,
  program: string,
  words: readonly string[],
): Promise<string | undefined> {
  const settings = { env: environment, timeout: ANSWER_TIMEOUT_MS, windowsHide: true };
  return new Promise((resolve) => {
    const child = execFile(programFile(program), [...words], settings, (error, stdout) =>
      resolve(error === null ? stdout.trim() : undefined),
    );
    child.stdin?.on('error', () => undefined).end();
  });
}

/**
 * Lowers the priority as a job of systemd does: other processes go first, but an idle machine runs
 * at full speed.
 */
export function lowerPriority({ platform }: Pick<Host, 'platform'>): void {
  for (const id of platform === 'linux' ? threads() : [0]) {
    try {
      os.setPriority(id, os.constants.priority.PRIORITY_BELOW_NORMAL);
    } catch {
      // The thread has ended, or its priority is lower already.
    }
  }
}

/** On Linux each thread has its own priority, which new threads inherit from their creator. */
function threads(): readonly number[] {
  try {
    return fs.readdirSync('/proc/self/task').map(Number);
  } catch {
    return [0];
  }
}
