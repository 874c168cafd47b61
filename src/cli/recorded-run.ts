import { appendHistory, type Run } from '../vault/history.ts';
import type { RemoteConfig } from '../vault/config.ts';
import { parseDestination } from '../vault/destination.ts';
import type { VaultFrame } from '../vault/vault.ts';
import { describeFailure } from './failure.ts';
import type { Host } from './host.ts';
import type { CommandResult, Warnings } from './report.ts';

/** Which run the history is to tell of. */
export interface RunToRecord {
  readonly vault: Pick<VaultFrame, 'vaultDir' | 'source' | 'config'>;
  readonly command: 'push' | 'verify' | 'restore' | 'fsck';
  /** Canonical text of the destination. */
  readonly destination: string;
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
  const start = new Date().toISOString();
  const { vaultDir } = run.vault;
  const remote = remoteNameOf(host, run.vault, run.destination);
  const record = ({ exitCode, error, figures }: CommandResult): void => {
    const line: Run = {
      start,
      end: new Date().toISOString(),
      command: run.command,
      destination: run.destination,
      ...(remote === undefined ? {} : { remote }),
      ...(run.isPart === true ? { part: true } : {}),
      exitCode,
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
      ...(figures === undefined ? {} : { figures: numbersOf(figures) }),
    };
    try {
      appendHistory(vaultDir, line);
    } catch (thrown) {
      const { code, message } = describeFailure(thrown, false);
      warnings.add({ code, message });
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

function numbersOf(figures: Readonly<Record<string, unknown>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(figures).flatMap(([key, value]) =>
      typeof value === 'number' && Number.isFinite(value) ? [[key, value]] : [],
    ),
  );
}

/** The name under which a vault knows a destination, if it does. */
export function remoteNameOf(
  host: Pick<Host, 'platform'>,
  vault: Pick<VaultFrame, 'config' | 'source'>,
  shownDestination: string,
): string | undefined {
  return remotesAt(host, vault, shownDestination)[0]?.name;
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
  const remotes = remotesAt(host, vault, shownDestination);
  return remotes.length > 0 && remotes.every(({ encrypt }) => encrypt === false);
}

function remotesAt(
  { platform }: Pick<Host, 'platform'>,
  { config, source }: Pick<VaultFrame, 'config' | 'source'>,
  shownDestination: string,
): readonly RemoteConfig[] {
  return config.remotes.filter(
    ({ url }) => parseDestination(url, { platform, folder: source }).shown === shownDestination,
  );
}
