import type { Command } from 'commander';
import { ExitCode } from '../../errors.ts';
import { parseDuration } from '../../schedule/rhythm.ts';
import { parseDestination } from '../../vault/destination.ts';
import { readHistory, type Run } from '../../vault/history.ts';
import { lockHolder, type LockHolder } from '../../vault/lock.ts';
import { readUserConfig, userConfigFile } from '../../vault/user-config.ts';
import { vaultFiles } from '../../vault/vault-files.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Host } from '../host.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { openVaultFrameOf } from '../place.ts';
import { remoteStatus, type RemoteStatus } from '../remote-status.ts';
import { DONE, type CommandResult } from '../report.ts';
import { resultText, shownAge, shownMoment } from '../run-lines.ts';
import type { Selected } from '../selected.ts';
import { shownText } from '../terminal.ts';

interface StatusOptions extends CommonOptions {
  readonly maxAge?: string;
}

const AFTER_HELP = `
No password is needed and no remote is asked. Exit code 4: the last push, verify or fsck of a remote
failed, or, with --max-age, its last good push is older than that. What was skipped or interrupted, or
was limited to some paths, does not count.`;

/** Defines `status`. */
export function defineStatus(program: Command, select: Selected): void {
  const command = program
    .command('status')
    .summary('when each remote was last pushed and verified')
    .description('Show when each remote was last pushed and verified, and who is at work.')
    .option('--max-age <age>', 'a good push must not be older: 26h, 2d (or max_age in [status])');
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
}

/** @throws {UsageError} `duration-invalid`; {VaultError} as `openVaultFrame` */
async function showStatus(host: Host, options: StatusOptions): Promise<CommandResult> {
  const frame = openVaultFrameOf(host, options);
  const user = readUserConfig(userConfigFile(host.environment, host.platform));
  const maxAge = options.maxAge ?? frame.config.status?.max_age ?? user.status?.max_age;
  const maxAgeMs = maxAge === undefined ? undefined : parseDuration(maxAge) * 60_000;
  const nowMs = Date.now();
  const history = readHistory(frame.vaultDir);
  const statuses = frame.config.remotes.map(({ name, url, encrypt = true }): NamedStatus => {
    const place = { platform: host.platform, folder: frame.source };
    const destination = parseDestination(url, place).shown;
    const about = { vaultDir: frame.vaultDir, destination, nowMs, maxAgeMs };
    return { name, shown: destination, encrypt, ...remoteStatus(history, about) };
  });
  for (const status of statuses) showRemote(host, status, nowMs);
  if (statuses.length === 0) host.out.note('This vault has no remote yet: see ecsync remote add.');
  await showSchedule(host, options);
  showLock(host, lockHolder(vaultFiles(frame.vaultDir).lock));
  return conclude(statuses, frame);
}

function showRemote({ out }: Host, status: NamedStatus, nowMs: number): void {
  const { name, shown, encrypt, lastGoodPushMs, lastPush, lastVerify, lastFsck, overdue, failed } =
    status;
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
      overdue,
      failed,
    });
    return;
  }
  const good =
    lastGoodPushMs === undefined
      ? 'never'
      : `${shownMoment(lastGoodPushMs)} (${shownAge(nowMs - lastGoodPushMs)})`;
  out.data(`${name}  ${shownText(shown)}${encrypt ? '' : '  NOT ENCRYPTED'}`);
  out.data(`  last good push  ${good}${overdue ? ' - overdue' : ''}`);
  const isGood = lastPush?.exitCode === ExitCode.ok;
  if (lastPush !== undefined && !isGood) out.data(`  last push       ${moment(lastPush)}`);
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

function showLock({ out }: Host, holder: LockHolder | undefined): void {
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
  const figures = { overdue: overdue.length, failed: failed.length, vaultDir };
  if (overdue.length + failed.length === 0) return { ...DONE, figures };
  const names = (list: readonly NamedStatus[]): string => list.map(({ name }) => name).join(', ');
  const message = [
    ...(failed.length > 0 ? [`the last run failed: ${names(failed)}`] : []),
    ...(overdue.length > 0 ? [`a push is overdue: ${names(overdue)}`] : []),
  ].join('; ');
  return {
    exitCode: ExitCode.overdue,
    figures,
    error: {
      code: failed.length > 0 ? 'last-run-failed' : 'overdue',
      message,
      hint: 'See `ecsync log`, mend the cause, and push.',
    },
  };
}
