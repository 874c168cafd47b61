/** The status of remotes in the text format of Prometheus (node_exporter's textfile collector). */
import type { Run } from '../../vault/memory/history.ts';
import type { RemoteStatus } from './remote-status.ts';

/** A remote with its status. */
export interface MeasuredRemote extends RemoteStatus {
  readonly name: string;
  /** The folder of the vault. */
  readonly vault: string;
}

interface Metric {
  readonly name: string;
  readonly help: string;
  /** Undefined: unknown, and the line is omitted. */
  readonly of: (remote: MeasuredRemote) => number | undefined;
}

const METRICS: readonly Metric[] = [
  {
    name: 'ecsync_last_good_push_timestamp_seconds',
    help: 'When the last push of everything that ended well was begun.',
    of: ({ lastGoodPushMs }) => lastGoodPushMs && lastGoodPushMs / 1000,
  },
  ...(['push', 'verify', 'fsck'] as const).flatMap((command): Metric[] => [
    {
      name: `ecsync_last_${command}_timestamp_seconds`,
      help: `When the last ${command} was begun.`,
      of: (remote) => startOf(runOf(remote, command)),
    },
    {
      name: `ecsync_last_${command}_exit_code`,
      help: `How the last ${command} ended; 0: well.`,
      of: (remote) => runOf(remote, command)?.exitCode,
    },
  ]),
  {
    name: 'ecsync_failed',
    help: '1 when the last push, verify or fsck failed.',
    of: ({ failed }) => Number(failed),
  },
  {
    name: 'ecsync_overdue',
    help: '1 when the last good push is older than it may be (--max-age), or dated in the future.',
    of: ({ overdue }) => Number(overdue),
  },
];

/** @see https://prometheus.io/docs/instrumenting/exposition_formats/ text format 0.0.4 */
export function metricsText(remotes: readonly MeasuredRemote[]): string {
  const lines = METRICS.flatMap(({ name, help, of }) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...remotes.flatMap((remote) => {
      const value = of(remote);
      const labels = `vault="${escaped(remote.vault)}",remote="${escaped(remote.name)}"`;
      return value === undefined ? [] : [`${name}{${labels}} ${value}`];
    }),
  ]);
  return `${lines.join('\n')}\n`;
}

function runOf(
  { lastPush, lastVerify, lastFsck }: RemoteStatus,
  command: 'push' | 'verify' | 'fsck',
): Run | undefined {
  return { push: lastPush, verify: lastVerify, fsck: lastFsck }[command];
}

function startOf(run: Run | undefined): number | undefined {
  return run && Date.parse(run.start) / 1000;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
