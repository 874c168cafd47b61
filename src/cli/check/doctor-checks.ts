/** The checks of `doctor`, in their order. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { BugError, EcsyncError, ExitCode } from '../../errors.ts';
import { isWindows } from '../../platform.ts';
import { reasonOf } from '../../system-errors.ts';
import { writeNewFile } from '../../vault/files/atomic-write.ts';
import { type Destination } from '../../vault/destination/destination.ts';
import { readHistory } from '../../vault/memory/history.ts';
import { lockHolder } from '../../vault/lock/lock.ts';
import { pathFrom } from '../../vault/password/password.ts';
import { hasConf, type VaultFrame } from '../../vault/vault.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import type { ReachOptions } from '../copies/copy-options.ts';
import { refuseGoneCopy } from './copy-gone.ts';
import { loginQuestions } from '../frame/login-questions.ts';
import { describeFailure } from '../../library/failure.ts';
import type { Host } from '../frame/host.ts';
import type { CommonOptions } from '../frame/options.ts';
import { readVaultFrameOf } from '../frame/place.ts';
import { effectiveValues, pushLayers } from '../../library/settings/push-config.ts';
import { isMirror } from '../../vault/destination/remote-destination.ts';
import { remoteStatus } from '../status/remote-status.ts';
import type { Warnings } from '../frame/report.ts';
import { resultText, shownMoment } from '../terminal/run-lines.ts';
import { destinationOfRemote } from '../../vault/destination/remote-destination.ts';

/** Options of `doctor`. */
export interface DoctorOptions extends CommonOptions, ReachOptions {
  readonly offline?: boolean;
}

/** The result of one check. */
export interface DoctorFinding {
  readonly topic: string;
  readonly state: 'good' | 'look' | 'bad';
  readonly text: string;
  /** What to do about it. */
  readonly hint?: string | undefined;
  readonly exitCode?: number;
}

/** A clock before this time was never set. */
const CLOCK_LEAST_MS = Date.UTC(2025, 0, 1);
const OTHERS_BITS = 0o077;

/** Runs all checks. Ends early only if there is no vault. */
export async function* examine(
  host: Host,
  warnings: Warnings,
  options: DoctorOptions,
): AsyncGenerator<DoctorFinding> {
  yield good('program', `ecsync ${host.version}, Node ${process.versions.node}, ${host.platform}`);
  let vault: VaultFrame;
  try {
    vault = readVaultFrameOf(host, options);
  } catch (error) {
    yield failed('vault', error);
    return;
  }
  yield* vaultFindings(vault);
  yield writingFinding(vault);
  yield* passwordFindings(host, vault);
  yield clockFinding(vault);
  yield lockFinding(vault);
  yield await scheduleFinding(host, options);
  for (const remote of vault.config.remotes) {
    yield* remoteFindings(host, warnings, {
      vault,
      options,
      name: remote.name,
      destination: () => destinationOfRemote(remote, vault, host.platform),
    });
  }
  if (vault.config.remotes.length === 0) {
    yield look('remotes', 'there is none yet', 'Add one: ecsync remote add NAME user@host:path');
  }
}

function* vaultFindings(vault: VaultFrame): Generator<DoctorFinding> {
  yield good('vault', `${vault.vaultDir}, for ${vault.source}`);
  if (hasConf(vault)) yield good('keys', `${vault.confFile} is the one of this vault`);
  else {
    const hint =
      'Copy it from any remote. Or, with the recovery key: ecsync key passwd --masterkey=stdin';
    yield { ...look('keys', `${vault.confFile} is missing`, hint), state: 'bad', exitCode: 10 };
  }
  if (isWindows) return;
  const mode = fs.statSync(vault.vaultDir).mode & OTHERS_BITS;
  if (mode === 0) return;
  yield look(
    'permissions',
    `others may look into ${vault.vaultDir}`,
    `chmod 700 ${vault.vaultDir}`,
  );
}

/** Whether a run can save its state: writes a small file to the disk, and removes it. */
function writingFinding({ vaultDir }: VaultFrame): DoctorFinding {
  const file = path.join(vaultDir, `doctor.${randomBytes(6).toString('hex')}.tmp`);
  try {
    writeNewFile(file, Buffer.alloc(PROBE_LENGTH), 0o600);
    return good('writing', `${vaultDir} can be written to`);
  } catch (error) {
    return {
      topic: 'writing',
      state: 'bad',
      text: `${vaultDir} cannot be written to: ${reasonOf(error)}. Nothing can be pushed`,
      hint: 'Look at its disk: is it full, read-only, or of another user? What only reads (restore, verify, fsck, ls, cat) works all the same.',
      exitCode: ExitCode.noVault,
    };
  } finally {
    fs.rmSync(file, { force: true });
  }
}

/** More than the state of a small vault. */
const PROBE_LENGTH = 4096;

/** Whether a push can find its password unattended. Nothing is opened. */
function* passwordFindings(host: Host, { config, vaultDir }: VaultFrame): Generator<DoctorFinding> {
  const { file, command } = config.password ?? {};
  const { passwordVariables: told } = host;
  if (file !== undefined) {
    const full = pathFrom(vaultDir, file);
    try {
      fs.accessSync(full, fs.constants.R_OK);
      yield good('password', `from ${full}`);
    } catch (error) {
      const hint = 'Correct file in [password] of .ecsync/config.toml.';
      const text = `${full} cannot be read: ${reasonOf(error)}`;
      yield { ...look('password', text, hint), state: 'bad', exitCode: 12 };
    }
  } else if (command !== undefined) yield good('password', 'from the command of [password]');
  else if ((told.file ?? told.command ?? told.password) !== undefined) {
    yield good('password', 'from a variable');
  } else {
    yield look(
      'password',
      'it is asked for: a push without a terminal needs --passfile or --extpass',
      'For a schedule write [password] with file or command into .ecsync/config.toml.',
    );
  }
}

function clockFinding({ vaultDir }: VaultFrame): DoctorFinding {
  const nowMs = Date.now();
  const lastMs = Math.max(0, ...readHistory(vaultDir).map(({ end }) => Date.parse(end)));
  const shown = shownMoment(nowMs);
  const hint = 'Set the clock: what changes now may look older than it is.';
  if (nowMs < CLOCK_LEAST_MS) return look('clock', `it says ${shown}`, hint);
  if (nowMs < lastMs)
    return look('clock', `it says ${shown}, before the end of the last run`, hint);
  return good('clock', shown);
}

function lockFinding({ vaultDir }: VaultFrame): DoctorFinding {
  const holder = lockHolder(vaultFiles(vaultDir).lock);
  if (holder === undefined) return good('lock', 'free');
  const { pid, host, since, isGone, isElsewhere } = holder;
  const text = `process ${pid} on ${host} since ${since}`;
  if (isGone) return good('lock', `${text}, which is gone: the next run takes it over`);
  if (!isElsewhere) return good('lock', `${text}, at work`);
  const hint =
    'It cannot be seen from here. If it certainly does not run any more: ecsync unlock --force';
  return look('lock', text, hint);
}

async function scheduleFinding(host: Host, options: CommonOptions): Promise<DoctorFinding> {
  try {
    const { findJobs, jobPlaceOf, shownNextRun } = await import('../schedule/schedule-jobs.ts');
    const [found] = await findJobs(host, jobPlaceOf(host, options));
    if (found === undefined) {
      return look('schedule', 'nothing pushes by itself', 'ecsync schedule install --every 1h');
    }
    const { installer, job } = found;
    const { scheduler } = installer;
    if (job.inactive === undefined)
      return good('schedule', `${scheduler}: ${nextOf(shownNextRun(job))}`);
    const { reason, remedy } = job.inactive;
    return look('schedule', `${scheduler}: installed, but not active: ${reason}`, remedy);
  } catch (error) {
    return failed('schedule', error);
  }
}

function nextOf(shownNext: string | undefined): string {
  return shownNext === undefined ? 'active' : `next ${shownNext}`;
}

async function* remoteFindings(
  host: Host,
  warnings: Warnings,
  about: {
    readonly vault: VaultFrame;
    readonly options: DoctorOptions;
    readonly name: string;
    readonly destination: () => Destination;
  },
): AsyncGenerator<DoctorFinding> {
  const { vault, options, name } = about;
  const topic = `remote ${name}`;
  try {
    const destination = about.destination();
    const values = effectiveValues(pushLayers(host, vault, name));
    const kind = isMirror(host, vault, destination.shown) ? ', NOT ENCRYPTED' : '';
    yield good(
      topic,
      `${destination.shown}${kind}${values.length > 0 ? ', its settings are right' : ''}`,
    );
    const status = { vaultDir: vault.vaultDir, destination: destination.shown, nowMs: Date.now() };
    const { lastPush, failed: isFailed } = remoteStatus(readHistory(vault.vaultDir), status);
    if (lastPush === undefined) yield look(topic, 'nothing was pushed yet', `ecsync push ${name}`);
    else if (isFailed) yield look(topic, `last push: ${resultText(lastPush)}`, 'See `ecsync log`.');
    await refuseGoneCopy(host, vault, destination);
    if (options.offline !== true)
      yield* reach(host, warnings, { options, vault, topic, destination });
  } catch (error) {
    yield failed(topic, error);
  }
}

/** Logs in, and tests what is allowed. An error becomes the finding. */
async function* reach(
  host: Host,
  warnings: Warnings,
  about: {
    readonly options: DoctorOptions;
    readonly vault: VaultFrame;
    readonly topic: string;
    readonly destination: Destination;
  },
): AsyncGenerator<DoctorFinding> {
  const { options, vault, topic, destination } = about;
  const { ReachedCopy } = await import('../../sync/browse/open-remote-tree.ts');
  const { reachSettings } = await import('../copies/reach-settings.ts');
  const surroundings = {
    signal: host.signal,
    questions: loginQuestions(host, {
      vault,
      destination,
      passwordFile: options.passwordFile,
      warnings,
    }),
    note: (code: string, message: string) => warnings.add({ code, message }),
  };
  const settings = reachSettings(host, { destination, vault }, options);
  const results = await ReachedCopy.with(settings, surroundings, (reached) => reached.test());
  const noPush = results.find(({ ability, allowed }) => ability === 'push' && allowed === false);
  for (const { ability, allowed, why } of noPush === undefined ? results : [noPush]) {
    if (noPush !== undefined)
      yield { topic, state: 'bad', text: `cannot push: ${why}`, exitCode: 5 };
    else if (allowed === true) yield good(topic, `can ${ability}`);
    else if (ability !== 'sftp') yield look(topic, `cannot ${ability}, or it is unknown: ${why}`);
  }
}

function good(topic: string, text: string): DoctorFinding {
  return { topic, state: 'good', text };
}

function look(topic: string, text: string, hint?: string): DoctorFinding {
  return { topic, state: 'look', text, hint };
}

function failed(topic: string, error: unknown): DoctorFinding {
  if (!(error instanceof EcsyncError) || error instanceof BugError) throw error;
  const { message, hint, exitCode } = describeFailure(error, false);
  return { topic, state: 'bad', text: message, hint, exitCode };
}
