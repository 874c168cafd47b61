/** The status of one vault: its remotes, its schedule, and who holds its lock. */
import { ExitCode } from '../../errors.ts';
import { parseDuration } from '../../schedule/rhythm.ts';
import { decodeState } from '../../sync/push/memory/push-state.ts';
import { pushMemory } from '../../sync/push/memory/vault-memory.ts';
import { readHistory, type Run } from '../../vault/memory/history.ts';
import type { ObservedHolder } from '../../vault/lock/lock-holder.ts';
import { lockHolder } from '../../vault/lock/lock.ts';
import { shownDestinationOf } from '../../vault/destination/remote-destination.ts';
import { readUserConfig, userConfigFile } from '../../vault/user/user-config.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Host } from '../frame/host.ts';
import { remoteStatus, type RemoteStatus } from './remote-status.ts';
import { resultText, shownAge, shownMoment } from '../terminal/run-lines.ts';
import { shownText } from '../terminal/terminal.ts';

/** The status of one remote of a vault. */
export interface NamedStatus extends RemoteStatus {
  readonly name: string;
  /** The folder of the vault. */
  readonly vault: string;
  readonly shown: string;
  /** False for a plain mirror. */
  readonly encrypt: boolean;
  /** An unfinished push may have left something there. */
  readonly isUnfinished: boolean;
}

/**
 * Whether a push was cut off and none has completed since. A mirror keeps nothing of an unfinished
 * push.
 */
function hasUnfinishedPush(frame: VaultFrame, shown: string): boolean {
  return decodeState(pushMemory(frame, { shown }).store.read())?.sweepPending === true;
}

/**
 * The status of a vault's remotes.
 *
 * @param requested - `--max-age`; otherwise the configuration of the vault and of the user
 * @throws {UsageError} `duration-invalid`; every code of `readUserConfig`
 */
export function readStatuses(
  host: Host,
  frame: VaultFrame,
  requested: string | undefined,
): readonly NamedStatus[] {
  const user = readUserConfig(userConfigFile(host.environment, host.platform));
  const maxAge = requested ?? frame.config.status?.max_age ?? user.status?.max_age;
  const maxAgeName = requested === undefined ? 'max_age in [status]' : '--max-age';
  const maxAgeMs = maxAge === undefined ? undefined : parseDuration(maxAge, maxAgeName) * 60_000;
  const nowMs = Date.now();
  const history = readHistory(frame.vaultDir);
  return frame.config.remotes.map((remote): NamedStatus => {
    const { name, url, encrypt = true } = remote;
    const shown = shownDestinationOf(remote, frame, host.platform);
    const destination = typeof shown === 'string' ? shown : url;
    const about = { vaultDir: frame.vaultDir, destination, nowMs, maxAgeMs };
    const isUnfinished = hasUnfinishedPush(frame, destination);
    const known = { ...remoteStatus(history, about), isUnfinished };
    const status = { name, vault: frame.source, shown: destination, encrypt, ...known };
    if (typeof shown === 'string') return status;
    host.out.note(shown.message);
    return { ...status, failed: true };
  });
}

/** Shows the status of a vault. */
export async function showVaultStatus(
  host: Host,
  { vaultDir }: VaultFrame,
  statuses: readonly NamedStatus[],
): Promise<void> {
  const nowMs = Date.now();
  for (const status of statuses) showRemote(host, status, nowMs);
  if (statuses.length === 0) host.out.note('This vault has no remote yet: see ecsync remote add.');
  await showSchedule(host, vaultDir);
  showLock(host, lockHolder(vaultFiles(vaultDir).lock));
}

function showRemote({ out }: Host, status: NamedStatus, nowMs: number): void {
  const { name, vault, shown, encrypt, isUnfinished, overdue, failed, isFromFuture } = status;
  const { lastGoodPushMs, lastPush, lastVerify, lastFsck } = status;
  if (out.mode.json) {
    out.event({
      type: 'status',
      vault,
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

async function showSchedule(host: Host, vaultDir: string): Promise<void> {
  const { out } = host;
  const { findJobs, jobPlaceIn, shownNextRun } = await import('../schedule/schedule-jobs.ts');
  for (const { installer, job } of await findJobs(host, jobPlaceIn(vaultDir))) {
    const { scheduler } = installer;
    const { inactive } = job;
    const nextRun = shownNextRun(job);
    if (out.mode.json) {
      out.event({
        type: 'schedule',
        scheduler,
        active: inactive === undefined,
        nextRun: nextRun ?? null,
      });
    } else {
      const next = nextRun === undefined ? '' : `, next ${nextRun}`;
      const state = inactive && `, installed, but not active: ${inactive.reason}`;
      out.data(shownText(`schedule  ${scheduler}${state ?? next}`));
    }
  }
}

function showLock({ out }: Host, holder: ObservedHolder | undefined): void {
  if (holder === undefined) return;
  const { pid, host, since, isGone } = holder;
  if (out.mode.json) {
    out.event({ type: 'lock', pid, host, since, gone: isGone });
    return;
  }
  const state = isGone ? ', which is gone: the next run takes the lock over' : '';
  out.data(shownText(`at work   process ${pid} on ${host} since ${since}${state}`));
}
