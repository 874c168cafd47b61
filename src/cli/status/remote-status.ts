/** What the history says about the remotes of a vault. */
import { ExitCode } from '../../errors.ts';
import { DID_NOT_END, type Run } from '../../vault/memory/history.ts';
import { lastFullPush } from '../../vault/memory/push-record.ts';

/** What is known of one remote; times are milliseconds since 1970. */
export interface RemoteStatus {
  /** When the last push of everything that came to its end was begun. */
  readonly lastGoodPushMs?: number;
  /** The last push that was not merely skipped or interrupted. */
  readonly lastPush?: Run;
  readonly lastVerify?: Run;
  readonly lastFsck?: Run;
  /** One of the last runs failed. */
  readonly failed: boolean;
  /** The last good push is older than it may be, or its time cannot be right. */
  readonly overdue: boolean;
  /** The last good push is dated in the future: a clock was wrong then, or is now. */
  readonly isFromFuture: boolean;
}

/** Files that changed while they were read go with the next push. */
const GOOD: ReadonlySet<number> = new Set([ExitCode.ok, ExitCode.vanished]);
/** Whether there was such a run, and it failed. */
export function isBad(run: Run | undefined): boolean {
  return run !== undefined && !GOOD.has(run.exitCode);
}

/** These say nothing about the copy. */
const SKIPPED: ReadonlySet<number> = new Set([
  ExitCode.locked,
  ExitCode.notNow,
  ExitCode.interrupted,
]);

/** Clocks that are set by the network differ by less. */
const CLOCK_SKEW_MAX_MS = 600_000;

/** @param about.maxAgeMs - absent: nothing is overdue */
export function remoteStatus(
  history: readonly Run[],
  about: {
    readonly vaultDir: string;
    /** Canonical text of the destination. */
    readonly destination: string;
    readonly nowMs: number;
    readonly maxAgeMs?: number | undefined;
  },
): RemoteStatus {
  const { vaultDir, destination, nowMs, maxAgeMs } = about;
  const runs = history.filter((run) => run.destination === destination);
  const last = (command: string): Run | undefined =>
    runs.findLast(
      (run) =>
        run.command === command &&
        run.part !== true &&
        !SKIPPED.has(run.exitCode) &&
        // A push that was killed is not done; of a copy, one that only looked says nothing.
        (run.command === 'push' || run.error?.code !== DID_NOT_END),
    );
  const good = runs.findLast(
    (run) => run.command === 'push' && run.part !== true && GOOD.has(run.exitCode),
  );
  // The history may be lost while this is not.
  const noted = lastFullPush(vaultDir, destination);
  const goodMs = good === undefined ? undefined : Date.parse(good.start);
  // Of the two the earlier is right when one of them lies in the future.
  const times = [goodMs, noted].filter((timeMs) => timeMs !== undefined);
  const past = times.filter((timeMs) => timeMs - nowMs <= CLOCK_SKEW_MAX_MS);
  const lastGoodPushMs =
    times.length === 0 ? undefined : Math.max(...(past.length > 0 ? past : times));
  const lastPush = last('push');
  const lastVerify = last('verify');
  const lastFsck = runs.findLast(
    (run) =>
      run.command === 'fsck' && !SKIPPED.has(run.exitCode) && run.error?.code !== DID_NOT_END,
  );
  const isOld = lastGoodPushMs === undefined || nowMs - lastGoodPushMs > (maxAgeMs ?? Infinity);
  const isFromFuture = lastGoodPushMs !== undefined && lastGoodPushMs - nowMs > CLOCK_SKEW_MAX_MS;
  return {
    ...(lastGoodPushMs === undefined ? {} : { lastGoodPushMs }),
    ...(lastPush === undefined ? {} : { lastPush }),
    ...(lastVerify === undefined ? {} : { lastVerify }),
    ...(lastFsck === undefined ? {} : { lastFsck }),
    failed: [lastPush, lastVerify, lastFsck].some(isBad),
    overdue: (maxAgeMs !== undefined && isOld) || isFromFuture,
    isFromFuture,
  };
}
