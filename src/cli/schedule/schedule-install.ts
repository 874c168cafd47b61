/** The command `schedule install`: installs a job in a scheduler of the system. */
import path from 'node:path';
import { PasswordError, UsageError } from '../../errors.ts';
import { chooseScheduler, installerFor } from '../../schedule/choose.ts';
import type { Installer } from '../../schedule/installer.ts';
import type { Credential, SchedulePlan, Scheduler } from '../../schedule/plan.ts';
import {
  jitterDefaultSec,
  jitterMaxSec,
  parseDuration,
  parseRhythm,
  type Rhythm,
} from '../../schedule/rhythm.ts';
import type { VaultConfig } from '../../vault/config/config.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import type { InstallOptions } from '../settings/schedule-options.ts';
import type { Host } from '../frame/host.ts';
import { readVaultFrameOf } from '../frame/place.ts';
import { DONE, type CommandResult, type Warnings } from '../frame/report.ts';
import {
  findJobs,
  ignoringMissing,
  installersHere,
  jobPlaceOf,
  shownNextRun,
} from './schedule-jobs.ts';
import {
  assertRemotes,
  assertSchedulable,
  parsePush,
  splitScheduleArguments,
  type ParsedPush,
  type ScheduleRequest,
} from './scheduled-push.ts';
import { systemMachine } from './system-machine.ts';
import { shownText } from '../terminal/terminal.ts';

const RHYTHM_DEFAULT: Rhythm = { kind: 'every', minutes: 60 };

/**
 * `schedule install`
 *
 * @throws {UsageError} every code of the plan's parts, `passfile-missing`, `scheduler-missing`, `scheduler-failed`,
 *   `no-scheduler`, `platform-elsewhere`
 * @throws {PasswordError} `password-missing`
 */
export async function installJob(
  host: Host,
  warnings: Warnings,
  request: ScheduleRequest<InstallOptions>,
): Promise<CommandResult> {
  const { options } = request;
  const plan = planOf(host, request);
  const { scheduler, note } = await schedulerFor(host, options);
  if (plan.credential !== undefined && scheduler !== 'systemd') {
    throw new UsageError('credential-unsupported', 'only systemd hands credentials to jobs', {
      hint: 'Name the password file with [password] in .ecsync/config.toml.',
    });
  }
  const installer = installerFor(scheduler, systemMachine(host));
  if (options.print === true) return print(host, installer, plan);
  installersHere(host, scheduler);
  assertPasswordFile(parsePush('x', plan.pushArguments), plan.credential);
  if (/[/\\]_npx[/\\]/.test(plan.ecsync)) {
    const message = `${plan.ecsync} is in npx's cache, which may be emptied: install ecsync for a schedule`;
    warnings.add({ code: 'schedule-npx', message });
  }
  const notes = await installer.install(plan);
  for (const other of installersHere(host)) {
    if (other.scheduler !== scheduler) await ignoringMissing(() => other.remove(plan.name));
  }
  await tell(host, warnings, options, [...(note === undefined ? [] : [note]), ...notes]);
  return DONE;
}

async function tell(
  host: Host,
  warnings: Warnings,
  options: InstallOptions,
  notes: readonly string[],
): Promise<void> {
  const { out } = host;
  const place = jobPlaceOf(host, options);
  for (const { installer, job } of await findJobs(host, place)) {
    const { scheduler } = installer;
    if (job.inactive !== undefined) {
      const { reason, remedy } = job.inactive;
      const message = `the job is installed, but nothing starts it: ${reason}. ${remedy}`;
      warnings.add({ code: 'schedule-inactive', message });
    }
    if (out.mode.json) {
      out.event({ type: 'schedule', name: place.name, scheduler, places: job.places, notes });
      continue;
    }
    out.note(shownText(`Installed with ${scheduler}: ${job.places.join(', ')}`));
    const next = shownNextRun(job);
    if (next !== undefined && job.inactive === undefined) out.note(shownText(`Next run: ${next}`));
  }
  for (const note of notes) out.note(shownText(note));
  out.note('To see that it works without you: ecsync schedule test');
}

async function schedulerFor(
  host: Host,
  { platform }: InstallOptions,
): Promise<{ readonly scheduler: Scheduler; readonly note?: string }> {
  if (platform !== undefined) return { scheduler: platform };
  return chooseScheduler(host.platform, systemMachine(host));
}

function print({ out }: Host, installer: Installer, plan: SchedulePlan): CommandResult {
  for (const { shownPlace, text, bytes } of installer.files(plan)) {
    if (out.mode.json) {
      out.event({ type: 'file', scheduler: installer.scheduler, place: shownPlace, text });
      continue;
    }
    out.note(shownText(shownPlace));
    if (bytes !== undefined && !out.isTerminal) out.dataBytes(bytes, new Uint8Array());
    else for (const line of text.trimEnd().split(/\r?\n/)) out.data(shownText(line));
  }
  return DONE;
}

function planOf(host: Host, { options, words }: ScheduleRequest<InstallOptions>): SchedulePlan {
  const frame = readVaultFrameOf(host, options);
  const { vaultDir, name } = jobPlaceOf(host, options);
  const { remotes, pushArguments } = splitScheduleArguments(words);
  assertRemotes(frame.config, { remotes, isAll: options.all === true });
  const push = parsePush('x', pushArguments);
  assertSchedulable(push, pushArguments);
  const credential = credentialOf(host, options);
  const rhythm = parseRhythm(options.every, options.at) ?? RHYTHM_DEFAULT;
  const jitterSec = jitterOf(rhythm, options.jitter);
  const isAll = options.all === true;
  const isNeeded = options.print !== true && encryptsAny(frame.config, { remotes, isAll });
  assertPassword(frame.config, { push, credential, isNeeded });
  const { environment, platform } = host;
  const searchPath = environment['PATH'];
  const domain = environment['USERDOMAIN'];
  const user = environment['USERNAME'];
  return {
    name,
    shownFolder: frame.source,
    vaultDir,
    rhythm,
    node: process.execPath,
    ecsync: path.resolve(process.argv[1] ?? ''),
    remotes: options.all === true ? 'all' : remotes,
    pushArguments,
    isLowPriority: options.lowPriority,
    jitterSec,
    ...(searchPath === undefined ? {} : { searchPath }),
    ...(credential === undefined ? {} : { credential }),
    ...(platform === 'win32' && domain !== undefined && user !== undefined
      ? { userId: `${domain}\\${user}` }
      : {}),
  };
}

function jitterOf(rhythm: Rhythm, text: string | undefined): number {
  if (text === undefined) return jitterDefaultSec(rhythm);
  const seconds = parseDuration(text, '--jitter') * 60;
  const max = jitterMaxSec(rhythm);
  if (seconds <= max) return seconds;
  throw new UsageError('jitter-too-long', `--jitter ${text} is too long for this schedule`, {
    hint: `At most ${Math.floor(max / 60)}m: a longer delay could leave a push out.`,
  });
}

function credentialOf(
  { folder }: Host,
  { credential, encryptedCredential }: InstallOptions,
): Credential | undefined {
  if (credential !== undefined && encryptedCredential !== undefined) {
    throw new UsageError(
      'conflicting-options',
      '--credential and --encrypted-credential exclude each other',
      { hint: 'Give one of them.' },
    );
  }
  if (credential !== undefined) {
    return { file: path.resolve(folder, credential), isEncrypted: false };
  }
  if (encryptedCredential === undefined) return undefined;
  return { file: path.resolve(folder, encryptedCredential), isEncrypted: true };
}

/** Whether a job pushes to any remote that is not a plain mirror. */
function encryptsAny(
  { remotes }: VaultConfig,
  { remotes: names, isAll }: { readonly remotes: readonly string[]; readonly isAll: boolean },
): boolean {
  const isMirror = (name: string): boolean =>
    remotes.find((remote) => remote.name === name)?.encrypt === false;
  if (isAll) return !remotes.every(({ name }) => isMirror(name));
  const [first] = remotes;
  if (names.length === 0) return first === undefined || !isMirror(first.name);
  return !names.every(isMirror);
}

/** Refuses a job that could never find its password. */
function assertPassword(
  { password }: VaultConfig,
  {
    push,
    credential,
    isNeeded,
  }: {
    readonly push: ParsedPush;
    readonly credential: Credential | undefined;
    readonly isNeeded: boolean;
  },
): void {
  const { passfile, extpass } = push.options;
  const isConfigured = password?.file !== undefined || password?.command !== undefined;
  if (credential !== undefined && (passfile ?? extpass) !== undefined) {
    throw new UsageError('conflicting-options', 'a credential and --passfile or --extpass', {
      hint: 'Give one of them.',
    });
  }
  if (!isNeeded || isConfigured || (passfile ?? extpass) !== undefined || credential !== undefined)
    return;
  throw new PasswordError(
    'password-missing',
    'a scheduled push has nobody to ask for the password',
    {
      hint: 'Write [password] with file or command into .ecsync/config.toml, or add -- --passfile FILE.',
    },
  );
}

/** Refuses a password file that does not exist, since it is probably misspelt. */
function assertPasswordFile({ options }: ParsedPush, credential: Credential | undefined): void {
  for (const file of [options.passfile, credential?.file]) {
    if (file === undefined || pathKind(file) !== 'absent') continue;
    throw new UsageError('passfile-missing', `there is no file ${file}`, {
      hint: 'Make it first, with the password in its first line, for you alone: chmod 600.',
    });
  }
}
