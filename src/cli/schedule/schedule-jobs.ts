/** Finds the installed jobs of a vault. */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError, VaultError } from '../../errors.ts';
import { installerFor, schedulersOf } from '../../schedule/choose.ts';
import type { InstalledJob, Installer } from '../../schedule/installer.ts';
import { scheduleName, type Scheduler } from '../../schedule/plan.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import { readOutcome, type ScheduleOutcome } from '../../vault/memory/push-record.ts';
import { findVaultDir, VAULT_DIR_NAME } from '../../vault/vault.ts';
import type { JobOptions } from '../settings/schedule-options.ts';
import type { Host } from '../frame/host.ts';
import type { CommonOptions } from '../frame/options.ts';
import { placeOf, vaultDirOf } from '../frame/place.ts';
import { DONE, type CommandResult } from '../frame/report.ts';
import { shownMoment } from '../terminal/run-lines.ts';
import { systemMachine } from './system-machine.ts';
import { shownText } from '../terminal/terminal.ts';

/**
 * The vault of a job, located without reading it, since it may be damaged when its job is removed.
 */
export interface JobPlace {
  /** Absolute, links resolved. */
  readonly vaultDir: string;
  readonly name: string;
}

/** @throws {VaultError} `no-vault` */
export function jobPlaceOf(host: Host, options: CommonOptions): JobPlace {
  return jobPlaceIn(findVaultDir(placeOf(host, options)));
}

/** The same for a known vault directory, which may be gone. */
export function jobPlaceIn(found: string): JobPlace {
  const vaultDir = realPlace(found);
  const folder = path.basename(vaultDir) === VAULT_DIR_NAME ? path.dirname(vaultDir) : vaultDir;
  return { vaultDir, name: scheduleName(path.basename(folder), vaultDir) };
}

/** Resolves links as far as the path exists. */
function realPlace(absolute: string): string {
  const above = path.dirname(absolute);
  if (above === absolute || pathKind(absolute) !== 'absent') return fs.realpathSync(absolute);
  return path.join(realPlace(above), path.basename(absolute));
}

/**
 * The job of a vault that may be gone, if its directory is named.
 *
 * @throws {VaultError} `no-vault`
 */
function placeToRemove(host: Host, options: CommonOptions): JobPlace {
  const named = vaultDirOf(host, options);
  if (named !== undefined && pathKind(named) === 'absent') return jobPlaceIn(named);
  try {
    return jobPlaceOf(host, options);
  } catch (error) {
    if (!(error instanceof VaultError) || error.code !== 'no-vault') throw error;
    throw new VaultError(error.code, error.message, {
      hint: 'Run it in the folder of the vault. If that is gone, name where it was: ecsync schedule remove --vault-dir FOLDER/.ecsync',
      cause: error,
    });
  }
}

/**
 * The schedulers that may hold jobs here, or only the named one.
 *
 * @throws {UsageError} `platform-elsewhere`
 */
export function installersHere(host: Host, scheduler?: Scheduler): readonly Installer[] {
  const here = schedulersOf(host.platform);
  if (scheduler !== undefined && !here.includes(scheduler)) {
    throw new UsageError('platform-elsewhere', `this system has no ${scheduler}`, {
      hint: `Here it can be ${here.join(' or ')}. To see the files for another system, add --print to schedule install.`,
    });
  }
  const machine = systemMachine(host);
  return (scheduler === undefined ? here : [scheduler]).map((one) => installerFor(one, machine));
}

/** An installed job, and its scheduler. */
export interface FoundJob {
  readonly installer: Installer;
  readonly job: InstalledJob;
}

/** The next run of a job, as text. */
export function shownNextRun({ nextRun }: InstalledJob): string | undefined {
  return typeof nextRun === 'number' ? shownMoment(nextRun) : nextRun;
}

/** All installed jobs of a vault. A missing scheduler has none. */
export async function findJobs(
  host: Host,
  { name }: JobPlace,
  scheduler?: Scheduler,
): Promise<readonly FoundJob[]> {
  const found: FoundJob[] = [];
  for (const installer of installersHere(host, scheduler)) {
    const job = await ignoringMissing(() => installer.show(name, Date.now()));
    if (job !== undefined) found.push({ installer, job });
  }
  return found;
}

/**
 * Returns undefined if the program of a scheduler does not exist, which shows only when it is
 * called.
 */
export async function ignoringMissing<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof UsageError && error.code === 'scheduler-missing') return undefined;
    throw error;
  }
}

/** `schedule remove` */
export async function removeJob(host: Host, options: JobOptions): Promise<CommandResult> {
  const { name } = placeToRemove(host, options);
  const removed: Scheduler[] = [];
  for (const installer of installersHere(host, options.platform)) {
    const wasThere = await ignoringMissing(() => installer.remove(name));
    if (wasThere === true) removed.push(installer.scheduler);
  }
  if (host.out.mode.json) host.out.event({ type: 'schedule', name, removed });
  else if (removed.length === 0) host.out.note('No schedule was installed for this vault.');
  else host.out.note(`Removed ${name} from ${removed.join(' and ')}.`);
  return DONE;
}

/** `schedule show` */
export async function showJob(host: Host, options: JobOptions): Promise<CommandResult> {
  const place = jobPlaceOf(host, options);
  const jobs = await findJobs(host, place, options.platform);
  const outcome = readOutcome(place.vaultDir);
  const { out } = host;
  for (const { installer, job } of jobs) {
    const { scheduler } = installer;
    if (out.mode.json) {
      const { places, inactive } = job;
      const next = shownNextRun(job);
      out.event({
        type: 'schedule',
        name: place.name,
        scheduler,
        places,
        active: inactive === undefined,
        ...(next === undefined ? {} : { nextRun: next }),
        ...(outcome === undefined ? {} : { lastRun: outcome }),
      });
      continue;
    }
    const { inactive } = job;
    const state = inactive === undefined ? '' : ` (installed, but not active: ${inactive.reason})`;
    out.data(`scheduler   ${scheduler}${state}`);
    for (const file of job.places) out.data(`job         ${shownText(file)}`);
    if (inactive === undefined)
      out.data(`next        ${shownText(shownNextRun(job) ?? 'the scheduler does not tell')}`);
    for (const line of outcomeLines(outcome)) out.data(line);
    if (inactive !== undefined) out.note(`hint: ${inactive.remedy}`);
  }
  if (jobs.length === 0) {
    out.note('No schedule is installed for this vault. Install one: ecsync schedule install');
  }
  return DONE;
}

/** The result of the last scheduled push, one line for each remote. */
export function outcomeLines(outcome: ScheduleOutcome | undefined): readonly string[] {
  if (outcome === undefined) return ['last        no scheduled push yet'];
  const since = shownMoment(outcome.startedMs);
  const seconds = ((outcome.endedMs - outcome.startedMs) / 1000).toFixed(1);
  return [
    `last        ${since}, ${seconds} s, exit code ${outcome.exitCode}`,
    ...outcome.pushes.map(({ remote, exitCode, message }) =>
      shownText(
        `            ${remote}: ${exitCode === 0 ? 'pushed' : (message ?? `exit code ${exitCode}`)}`,
      ),
    ),
  ];
}
