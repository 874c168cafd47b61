/** Runs work and records its result in the vault's history. */
import {
  appendHistory,
  beginHistory,
  type Run,
  type RunBeginning,
} from '../vault/memory/history.ts';
import type { Destination } from '../vault/destination/destination.ts';
import type { VaultFrame } from '../vault/vault.ts';
import { remoteNameOf } from '../vault/destination/remote-destination.ts';
import type { Caller } from './caller.ts';
import { describeFailure, type RunEnd } from './failure.ts';

/** The run to record. */
export interface RunToRecord {
  readonly vault: Pick<VaultFrame, 'vaultDir' | 'source' | 'config'>;
  readonly command: 'push' | 'verify' | 'restore' | 'fsck';
  readonly destination: Destination;
  /** It was limited to some paths, or by its own filter rules. */
  readonly isPart?: boolean;
}

/** Calls `work` and records in any case how it ended. */
export async function recordRun<End extends RunEnd>(
  caller: Caller,
  run: RunToRecord,
  work: () => Promise<End>,
): Promise<End> {
  const { vaultDir } = run.vault;
  const remote = remoteNameOf(caller, run.vault, run.destination);
  const beginning: RunBeginning = {
    start: new Date().toISOString(),
    command: run.command,
    destination: run.destination.shown,
    ...(remote === undefined ? {} : { remote }),
    ...(run.isPart === true ? { part: true } : {}),
  };
  const id = begin(vaultDir, beginning);
  const record = ({ exitCode, error, figures }: RunEnd): void => {
    const line: Run = {
      ...beginning,
      end: new Date().toISOString(),
      ...(id === undefined ? {} : { run: id }),
      exitCode,
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
      ...(figures === undefined ? {} : { figures: numbersOf(figures) }),
    };
    try {
      appendHistory(vaultDir, line);
    } catch (thrown) {
      const { code, message } = describeFailure(thrown, false);
      caller.warn(code, `this run is not in the history: ${message}`);
    }
  };
  try {
    const result = await work();
    record(result);
    return result;
  } catch (thrown) {
    const { exitCode, code, message } = describeFailure(thrown, caller.signal.aborted);
    record({ exitCode, error: { code, message } });
    throw thrown;
  }
}

/**
 * Records the start of a run. If that fails the run continues, and the failure is reported at its
 * end.
 */
function begin(vaultDir: string, beginning: RunBeginning): string | undefined {
  try {
    return beginHistory(vaultDir, beginning);
  } catch {
    return undefined;
  }
}

function numbersOf(figures: Readonly<Record<string, unknown>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(figures).flatMap(([key, value]) =>
      typeof value === 'number' && Number.isFinite(value) ? [[key, value]] : [],
    ),
  );
}
