import path from 'node:path';
import type { Command } from 'commander';
import { ExitCode, FileError } from '../../errors.ts';
import { parseDuration } from '../../schedule/rhythm.ts';
import { readHistory, type Run } from '../../vault/history.ts';
import { errnoOf } from '../../platform.ts';
import { replaceFile } from '../../vault/atomic-write.ts';
import type { SeenHolder } from '../../vault/lock-holder.ts';
import { lockHolder } from '../../vault/lock.ts';
import { readUserConfig, userConfigFile } from '../../vault/user-config.ts';
import { vaultFiles } from '../../vault/vault-files.ts';
import { decodeState } from '../../sync/push-state.ts';
import { pushMemory } from '../../sync/vault-memory.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Host } from '../host.ts';
import { metricsText } from '../metrics.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { openVaultFrameOf } from '../place.ts';
import { remoteStatus, type RemoteStatus } from '../remote-status.ts';
import { DONE, type CommandResult } from '../report.ts';
import { resultText, shownAge, shownMoment } from '../run-lines.ts';
import type { Selected } from '../selected.ts';
import { shownText } from '../terminal.ts';
import { shownDestinationOf } from '../../vault/remote-destination.ts';

interface StatusOptions extends CommonOptions {
  readonly maxAge?: string;
  readonly metrics?: string;
}

/** A collector of another user reads it; there are no secrets in it. */
const METRICS_MODE = 0o644;

const AFTER_HELP = `
No password is needed and no remote is asked. Exit code 4: the last push, verify or fsck of a remote
failed, its last good push is dated in the future, or, with --max-age, is older than that. What was skipped or interrupted, or
was limited to some paths, does not count.`;

/** Defines `status`. */
export function defineStatus(program: Command, select: Selected): void {
  const command = program
    .command('status')
    .summary('when each remote was last pushed and verified')
    .description('Show when each remote was last pushed and verified, and who is at work.')
    .option('--max-age <age>', 'a good push must not be older: 26h, 2d (or max_age in [status])')
    .option('--metrics <file>', 'write the same to FILE, for Prometheus');
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action(() => {
      const options: StatusOptions = command.optsWithGlobals();
      select('status', options, (host) => showStatus(host, options));
    });
}

interface NamedStatus extends RemoteStatus {
  readonly name: string;
  readonly shown: string;
  /** False: it has a plain mirror. */
  readonly encrypt: boolean;
  /** A push that did not end may have left something there. */
  readonly isUnfinished: boolean;
}

/** Whether a push was cut off that none has followed up: a mirror keeps nothing of it. */
function hasUnfinishedPush(frame: VaultFrame, shown: string): boolean {
  return decodeState(pushMemory(frame, { shown }).store.read())?.sweepPending === true;
}

/** @throws {UsageError} `duration-invalid`; {VaultError} as `openVaultFrame` */
async function showStatus(host: Host, options: StatusOptions): Promise<CommandResult> {
  const frame = openVaultFrameOf(host, options);
  const user = readUserConfig(userConfigFile(host.environment, host.platform));
  const maxAge = options.maxAge ?? frame.config.status?.max_age ?? user.status?.max_age;
  const maxAgeMs = maxAge === undefined ? undefined : parseDuration(maxAge) * 60_000;
  const nowMs = Date.now();
  const history = readHistory(frame.vaultDir);
  const statuses = frame.config.remotes.map((remote): NamedStatus => {
    const { name, url, encrypt = true } = remote;
    const shown = shownDestinationOf(remote, frame, host.platform);
    const destination = typeof shown === 'string' ? shown : url;
    const about = { vaultDir: frame.vaultDir, destination, nowMs, maxAgeMs };
    const isUnfinished = hasUnfinishedPush(frame, destination);
    const known = { ...remoteStatus(history, about), isUnfinished };
    const status = { name, shown: destination, encrypt, ...known };
    if (typeof shown === 'string') return status;
    host.out.note(shown.message);
    return { ...status, failed: true };
  });
  if (options.metrics !== undefined) writeMetrics(host, options.metrics, { frame, statuses });
  for (const status of statuses) showRemote(host, status, nowMs);
  if (statuses.length === 0) host.out.note('This vault has no remote yet: see ecsync remote add.');
  await showSchedule(host, options);
  showLock(host, lockHolder(vaultFiles(frame.vaultDir).lock));
  return conclude(statuses, frame);
}

/** @throws {FileError} `metrics-not-written` */
function writeMetrics(
  { folder }: Host,
  file: string,
  known: { readonly frame: VaultFrame; readonly statuses: readonly NamedStatus[] },
): void {
  const full = path.resolve(folder, file);
  try {
    // In one step: whoever collects it may look at any moment.
    replaceFile(full, Buffer.from(metricsText(known.frame.source, known.statuses)), METRICS_MODE);
  } catch (error) {
    const reason = errnoOf(error) || String(error);
    throw new FileError('metrics-not-written', `cannot write ${full}: ${reason}`, {
      hint: 'Make its folder, and give this user the right to write there.',
      cause: error,
    });
  }
}

function showRemote({ out }: Host, status: NamedStatus, nowMs: number): void {
  const { name, shown, encrypt, isUnfinished, overdue, failed, isFromFuture } = status;
  const { lastGoodPushMs, lastPush, lastVerify, lastFsck } = status;
  if (out.mode.json) {
    out.event({
      type: 'status',
      remote: name,
      destination: shown,
      encrypt,
      lastGoodPush: lastGoodPushMs === undefined ? null : new Date(lastGoodPushMs).toISOString(),
      ageSec: lastGoodPushMs === undefined ? null : Math.floor((nowMs - lastGoodPushMs) / 1000),
      lastPush: lastPush ?? null,
      lastVerify: lastVerify ?? null,
      lastFsck: lastFsck ?? null,
      unfinished: isUnfinished,
      overdue,
      failed,
      clockWrong: isFromFuture,
    });
    return;
  }
  const good =
    lastGoodPushMs === undefined
      ? 'never'
      : `${shownMoment(lastGoodPushMs)}${isFromFuture ? '' : ` (${shownAge(nowMs - lastGoodPushMs)})`}`;
  out.data(`${name}  ${shownText(shown)}${encrypt ? '' : '  NOT ENCRYPTED'}`);
  const remark = isFromFuture ? ' - in the future: the clock was wrong, or is now' : ' - overdue';
  out.data(`  last good push  ${good}${overdue ? remark : ''}`);
  const isGood = lastPush?.exitCode === ExitCode.ok;
  if (lastPush !== undefined && !isGood) out.data(`  last push       ${moment(lastPush)}`);
  if (isUnfinished) {
    out.data(
      '  unfinished      a push was cut off; the next one uses or removes what it left there',
    );
  }
  out.data(`  last verify     ${lastVerify === undefined ? 'never' : moment(lastVerify)}`);
  if (lastFsck !== undefined) out.data(`  last fsck       ${moment(lastFsck)}`);
}

function moment(run: Run): string {
  return `${shownMoment(Date.parse(run.start))}, ${resultText(run)}`;
}

async function showSchedule(host: Host, options: CommonOptions): Promise<void> {
  const { out } = host;
  const { findJobs, jobPlaceOf } = await import('../schedule-jobs.ts');
  for (const { installer, job } of await findJobs(host, jobPlaceOf(host, options))) {
    const { scheduler } = installer;
    const { isActive, shownNextRun } = job;
    if (out.mode.json) {
      out.event({ type: 'schedule', scheduler, active: isActive, nextRun: shownNextRun ?? null });
    } else {
      const next = shownNextRun === undefined ? '' : `, next ${shownNextRun}`;
      out.data(
        shownText(`schedule  ${scheduler}${isActive ? next : ', installed but not active'}`),
      );
    }
  }
}

function showLock({ out }: Host, holder: SeenHolder | undefined): void {
  if (holder === undefined) return;
  const { pid, host, since, isGone } = holder;
  if (out.mode.json) {
    out.event({ type: 'lock', pid, host, since, gone: isGone });
    return;
  }
  const state = isGone ? ', which is gone: the next run takes the lock over' : '';
  out.data(shownText(`at work   process ${pid} on ${host} since ${since}${state}`));
}

function conclude(
  statuses: readonly NamedStatus[],
  { vaultDir }: Pick<VaultFrame, 'vaultDir'>,
): CommandResult {
  const overdue = statuses.filter((status) => status.overdue);
  const failed = statuses.filter((status) => status.failed);
  const ahead = overdue.filter(({ isFromFuture }) => isFromFuture);
  const late = overdue.filter(({ isFromFuture }) => !isFromFuture);
  const figures = { overdue: overdue.length, failed: failed.length, vaultDir };
  if (overdue.length + failed.length === 0) return { ...DONE, figures };
  const names = (list: readonly NamedStatus[]): string => list.map(({ name }) => name).join(', ');
  const message = [
    ...(failed.length > 0 ? [`the last run failed: ${names(failed)}`] : []),
    ...(ahead.length > 0
      ? [
          `the last push is dated in the future, so the clock was wrong then or is now: ${names(ahead)}`,
        ]
      : []),
    ...(late.length > 0 ? [`a push is overdue: ${names(late)}`] : []),
  ].join('; ');
  return {
    exitCode: ExitCode.overdue,
    figures,
    error: {
      code: failed.length > 0 ? 'last-run-failed' : 'overdue',
      message,
      hint:
        ahead.length > 0
          ? 'Set the clock (`date` shows it), and push: that push is dated rightly.'
          : 'See `ecsync log`, mend the cause, and push.',
    },
  };
}
