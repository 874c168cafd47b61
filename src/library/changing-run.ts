/** Surrounds everything that changes a copy with its record in the history and the lock. */
import { ExitCode, UsageError } from '../errors.ts';
import type { PushSettings } from '../sync/push/source/push-settings.ts';
import { noteFullPush } from '../vault/memory/push-record.ts';
import { settleConf } from '../vault/replace-conf.ts';
import type { StoredVault } from '../vault/vault.ts';
import { besidePushes } from './concurrent-pushes.ts';
import type { Caller } from './caller.ts';
import type { RunEnd } from './failure.ts';
import { recordRun } from './run-record.ts';
import { holdVaultLock, type LockedWork } from './vault-lock.ts';

/** A push or a verification of a vault. */
export interface ChangingRun extends Pick<LockedWork, 'wait' | 'onWait'> {
  readonly vault: StoredVault;
  readonly settings: Pick<PushSettings, 'destination' | 'paths' | 'dryRun'>;
  /** It is limited by its own filter rules. */
  readonly hasOwnRules: boolean;
}

function isPart({ settings, hasOwnRules }: ChangingRun): boolean {
  return settings.paths.length > 0 || hasOwnRules;
}

/**
 * Runs a push: records it, holds the lock, and notes a successful full push for the schedule. A dry
 * run does none of that.
 *
 * @param hold - `postpone` may end the run before the lock is taken
 * @param work - receives a signal that also aborts when the lock is lost
 * @throws as `recordRun` and `holdVaultLock`; what `work` throws
 */
export async function pushHolding<End extends RunEnd>(
  caller: Caller,
  run: ChangingRun & { readonly postpone?: () => Promise<End | undefined> },
  work: (signal: AbortSignal) => Promise<End>,
): Promise<End> {
  const { vault, settings, postpone } = run;
  const { destination, dryRun } = settings;
  if (dryRun) return work(caller.signal);
  const record = { vault, command: 'push', destination, isPart: isPart(run) } as const;
  return recordRun(caller, record, async () => {
    const postponed = await postpone?.();
    if (postponed !== undefined) return postponed;
    return holding(caller, { ...run, command: 'push' }, async (signal) => {
      const startedMs = Date.now();
      const result = await work(signal);
      // A schedule need not repeat what a person has just pushed.
      if (!isPart(run) && result.exitCode === ExitCode.ok) {
        noteFullPush(vault.vaultDir, destination.shown, startedMs);
      }
      return result;
    });
  });
}

/**
 * The settings of a push, adapted to a verification: without limits, and without append-only.
 *
 * @throws {UsageError} `conflicting-options` — to repair an append-only copy
 */
export function verifySettings(settings: PushSettings, repairs: boolean): PushSettings {
  if (settings.appendOnly && repairs) {
    throw new UsageError(
      'conflicting-options',
      '--repair replaces what is wrong in the copy, and --append-only keeps it',
      { hint: 'Repair with --no-append-only, by a login that may overwrite.' },
    );
  }
  return { ...settings, appendOnly: false, maxBytes: Infinity };
}

/**
 * Runs a verification: records it, and holds the lock for a repair.
 *
 * @throws as `recordRun` and `holdVaultLock`; what `work` throws
 */
export function verifyRecorded<End extends RunEnd>(
  caller: Caller,
  run: ChangingRun & { readonly repairs: boolean },
  work: (signal: AbortSignal) => Promise<End>,
): Promise<End> {
  const { vault, settings, repairs } = run;
  const { destination } = settings;
  const record = { vault, command: 'verify', destination, isPart: isPart(run) } as const;
  return recordRun(caller, record, () =>
    repairs
      ? holding(caller, { ...run, command: 'verify' }, work)
      : besidePushes(caller, { vault, destination }, () => work(caller.signal)),
  );
}

function holding<T>(
  caller: Caller,
  { vault, settings, command, wait, onWait }: ChangingRun & { readonly command: string },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const task = { command, destination: settings.destination.shown };
  const locked = { vaultDir: vault.vaultDir, task, wait, ...(onWait && { onWait }) };
  return holdVaultLock(caller, locked, (signal) => {
    settleConf(vault);
    return work(signal);
  });
}
