/** Runs work and records in the vault's history how it ended. */
import {
  appendHistory,
  beginHistory,
  type Run,
  type RunBeginning,
} from '../../vault/memory/history.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { describeFailure } from './failure.ts';
import type { Host } from './host.ts';
import type { CommandResult, Warnings } from './report.ts';
import { remotesAt } from '../../vault/destination/remote-destination.ts';

/** Which run the history is to tell of. */
export interface RunToRecord {
  readonly vault: Pick<VaultFrame, 'vaultDir' | 'source' | 'config'>;
  readonly command: 'push' | 'verify' | 'restore' | 'fsck';
  readonly destination: Destination;
  /** It was limited to some paths, or by filter rules of its own. */
  readonly isPart?: boolean;
}

/** Does `work` and writes into the vault's history how it ended, whichever way that was. */
export async function recordRun(
  host: Host,
  warnings: Warnings,
  run: RunToRecord,
  work: () => Promise<CommandResult>,
): Promise<CommandResult> {
  const { vaultDir } = run.vault;
  const remote = remoteNameOf(host, run.vault, run.destination);
  const beginning: RunBeginning = {
    start: new Date().toISOString(),
    command: run.command,
    destination: run.destination.shown,
    ...(remote === undefined ? {} : { remote }),
    ...(run.isPart === true ? { part: true } : {}),
  };
  const id = begin(vaultDir, beginning);
  const record = ({ exitCode, error, figures }: CommandResult): void => {
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
      warnings.add({ code, message: `this run is not in the history: ${message}` });
    }
  };
  try {
    const result = await work();
    record(result);
    return result;
  } catch (thrown) {
    const { exitCode, code, message } = describeFailure(thrown, host.signal.aborted);
    record({ exitCode, error: { code, message } });
    throw thrown;
  }
}

/** Where it cannot be noted the run goes on; that is told once, at its end. */
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

/** The name under which a vault knows a destination, if it does; that by which it was asked for comes first. */
export function remoteNameOf(
  host: Pick<Host, 'platform'>,
  vault: Pick<VaultFrame, 'config' | 'source'>,
  { shown, remote }: Destination,
): string | undefined {
  return remote ?? remotesAt(vault, shown, host.platform)[0]?.name;
}

/**
 * Whether the configuration says that a destination gets a plain mirror. Of two remotes that are one
 * destination, both have to say so.
 */
export function isMirror(
  host: Pick<Host, 'platform'>,
  vault: Pick<VaultFrame, 'config' | 'source'>,
  shownDestination: string,
): boolean {
  const remotes = remotesAt(vault, shownDestination, host.platform);
  return remotes.length > 0 && remotes.every(({ encrypt }) => encrypt === false);
}
