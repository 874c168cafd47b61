/** Derives the status of a vault's remotes from its history. */
import { ExitCode } from '../../errors.ts';
import { DID_NOT_END, type Run } from '../../vault/memory/history.ts';
import { lastFullPush } from '../../vault/memory/push-record.ts';

/** The status of one remote. Times are milliseconds since 1970. */
export interface RemoteStatus {
  /** When the last completed full push began. */
  readonly lastGoodPushMs?: number;
  /** The last push that was neither skipped nor interrupted. */
  readonly lastPush?: Run;
  readonly lastVerify?: Run;
  readonly lastFsck?: Run;
  /** One of the last runs failed. */
  readonly failed: boolean;
  /** The last good push is older than allowed, or its time is implausible. */
  readonly overdue: boolean;
  /** The last good push has a time in the future: a clock was wrong then, or is now. */
  readonly isFromFuture: boolean;
}

/** Files that changed while they were read are sent by the next push. */
const GOOD: ReadonlySet<number> = new Set([ExitCode.ok, ExitCode.vanished]);
/** Whether there was such a run, and it failed. */
export function isBad(run: Run | undefined): boolean {
  return run !== undefined && !GOOD.has(run.exitCode);
}

/** Results that say nothing about the copy. */
const SKIPPED: ReadonlySet<number> = new Set([
  ExitCode.locked,
  ExitCode.notNow,
  ExitCode.interrupted,
]);

/** Clocks set over the network differ by less. */
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
        // A killed push leaves work to do. A killed check says nothing about the copy.
        (run.command === 'push' || run.error?.code !== DID_NOT_END),
    );
  const good = runs.findLast(
    (run) => run.command === 'push' && run.part !== true && GOOD.has(run.exitCode),
  );
  // The history may be lost while this record is not.
  const noted = lastFullPush(vaultDir, destination);
  const goodMs = good === undefined ? undefined : Date.parse(good.start);
  // If one of the two lies in the future, the earlier one is right.
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
