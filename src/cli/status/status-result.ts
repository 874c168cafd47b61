/** The result of `status`: its exit code, and the file for Prometheus. */
import path from 'node:path';
import { ExitCode, FileError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { replaceFile } from '../../vault/files/atomic-write.ts';
import type { Host } from '../frame/host.ts';
import { metricsText } from './metrics.ts';
import { isBad } from './remote-status.ts';
import { DONE, type CommandResult } from '../frame/report.ts';
import type { NamedStatus } from './vault-status.ts';

/** A collector of another user reads it. It contains no secrets. */
const METRICS_MODE = 0o644;

/** @throws {FileError} `metrics-not-written` */
export function writeMetrics(
  { folder }: Host,
  file: string,
  statuses: readonly NamedStatus[],
): void {
  const full = path.resolve(folder, file);
  try {
    // Replaces the file in one step, since a collector may read it at any time.
    replaceFile(full, Buffer.from(metricsText(statuses)), METRICS_MODE);
  } catch (error) {
    throw new FileError('metrics-not-written', `cannot write ${full}: ${reasonOf(error)}`, {
      hint: 'Make its folder, and give this user the right to write there.',
      cause: error,
    });
  }
}

/**
 * @param own - figures of the command
 * @param nameOf - the name of a remote in the message
 */
export function concludeStatus(
  statuses: readonly NamedStatus[],
  own: Readonly<Record<string, unknown>>,
  nameOf: (status: NamedStatus) => string,
): CommandResult {
  const overdue = statuses.filter((status) => status.overdue);
  const failed = statuses.filter((status) => status.failed);
  const ahead = overdue.filter(({ isFromFuture }) => isFromFuture);
  const late = overdue.filter(({ isFromFuture }) => !isFromFuture);
  const figures = { overdue: overdue.length, failed: failed.length, ...own };
  if (overdue.length + failed.length === 0) return { ...DONE, figures };
  const names = (list: readonly NamedStatus[]): string => list.map(nameOf).join(', ');
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
          : hintFor(failed),
    },
  };
}

/** A successful push does not clear the findings of a verification or a check. */
function hintFor(failed: readonly NamedStatus[]): string {
  const looks = [
    ...(failed.some(({ lastVerify }) => isBad(lastVerify)) ? ['`ecsync verify`'] : []),
    ...(failed.some(({ lastFsck }) => isBad(lastFsck)) ? ['`ecsync fsck`'] : []),
  ];
  if (looks.length === 0) return 'See `ecsync log`, mend the cause, and push.';
  return `See \`ecsync log\`, and mend the cause (\`ecsync verify --repair\` pushes what differs). What was found counts until this finds nothing: ${looks.join(', ')}.`;
}
