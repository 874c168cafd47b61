/** `status --all-vaults`: the status of every vault of this user. */
import path from 'node:path';
import { ExitCode, UsageError } from '../../errors.ts';
import { parseDuration } from '../../schedule/rhythm.ts';
import {
  knownVaultsFile,
  readKnownVaults,
  writeKnownVaults,
} from '../../vault/user/known-vaults.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import { readVaultFrame, VAULT_DIR_NAME, type VaultFrame } from '../../vault/vault.ts';
import { describeFailure, type ShownFailure } from '../../library/failure.ts';
import type { Host } from '../frame/host.ts';
import type { CommonOptions } from '../frame/options.ts';
import { rememberedPlace, vaultDirOf } from '../frame/place.ts';
import { worseExit } from '../push/push-all.ts';
import type { CommandResult } from '../frame/report.ts';
import { concludeStatus, writeMetrics } from './status-result.ts';
import { shownText } from '../terminal/terminal.ts';
import { readStatuses, showVaultStatus, type NamedStatus } from './vault-status.ts';

/** Options of `status --all-vaults` beside those of every command. */
export interface OverviewOptions extends CommonOptions {
  readonly maxAge?: string;
  readonly metrics?: string;
  readonly forgetGone?: boolean;
}

type Seen =
  | { readonly frame: VaultFrame; readonly statuses: readonly NamedStatus[] }
  | { readonly failure: ShownFailure };

/**
 * Shows the vaults of the list in turn. The exit code is the worst one.
 *
 * @throws {UsageError} `conflicting-options`, `duration-invalid`, `known-vaults-unreadable`
 */
export async function showAllVaults(host: Host, options: OverviewOptions): Promise<CommandResult> {
  refuseVault(host, options);
  if (options.maxAge !== undefined) parseDuration(options.maxAge, '--max-age');
  const file = knownVaultsFile(host.environment, host.platform);
  const known = readKnownVaults(file);
  const gone = known.filter((vaultDir) => pathKind(vaultDir) === 'absent');
  const there = known.filter((vaultDir) => !gone.includes(vaultDir));
  const seen = there.map((vaultDir) => ({ vaultDir, ...look(host, vaultDir, options.maxAge) }));
  const statuses = seen.flatMap((one) => ('failure' in one ? [] : one.statuses));
  if (options.metrics !== undefined) writeMetrics(host, options.metrics, statuses);
  for (const one of seen) {
    if ('failure' in one) reportUnusable(host, one.vaultDir, one.failure);
    else await showVault(host, one);
  }
  const isForgetting = options.forgetGone === true && gone.length > 0;
  for (const vaultDir of gone) reportGone(host, vaultDir, isForgetting);
  if (isForgetting) writeKnownVaults(file, there);
  if (known.length === 0) {
    host.out.note(
      'No vault is known yet: each one is noted when it is made, and at its next push.',
    );
  }
  const failures = seen.flatMap((one) => ('failure' in one ? [one.failure] : []));
  const figures = { vaults: known.length, gone: gone.length, unusable: failures.length };
  const nameOf = ({ vault, name }: NamedStatus): string => `${name} of ${vault}`;
  const result = concludeStatus(statuses, figures, nameOf);
  return worst(result, [
    ...goneShortfall(isForgetting ? [] : gone),
    ...failures.map(unusableShortfall),
  ]);
}

/** @throws {UsageError} `conflicting-options` */
function refuseVault(host: Host, options: CommonOptions): void {
  if (options.C === undefined && vaultDirOf(host, options) === undefined) return;
  throw new UsageError('conflicting-options', '--all-vaults shows all vaults, and one was named', {
    hint: 'Leave out -C, --vault-dir and ECSYNC_DIR, or --all-vaults.',
  });
}

function look(host: Host, vaultDir: string, maxAge: string | undefined): Seen {
  try {
    const frame = readVaultFrame(rememberedPlace(host, vaultDir));
    return { frame, statuses: readStatuses(host, frame, maxAge) };
  } catch (error) {
    return { failure: describeFailure(error, false) };
  }
}

async function showVault(
  host: Host,
  { frame, statuses }: { readonly frame: VaultFrame; readonly statuses: readonly NamedStatus[] },
): Promise<void> {
  if (!host.out.mode.json) host.out.data(`vault ${shownText(frame.source)}`);
  await showVaultStatus(host, frame, statuses);
}

function reportUnusable({ out }: Host, vaultDir: string, failure: ShownFailure): void {
  const { code, message, hint } = failure;
  const vault = folderOf(vaultDir);
  if (out.mode.json) out.event({ type: 'vault', vault, state: 'unusable', code, message });
  else out.data(shownText(`vault ${vault}: ${message}`));
  if (hint !== undefined) out.note(`hint: ${hint}`);
}

function reportGone({ out }: Host, vaultDir: string, isForgotten: boolean): void {
  const vault = folderOf(vaultDir);
  const message = isForgotten ? 'it is gone, and forgotten now' : 'it is gone';
  if (out.mode.json)
    out.event({ type: 'vault', vault, state: 'gone', code: 'vault-gone', message });
  else out.data(shownText(`vault ${vault}: ${message}`));
}

/** The source folder of a vault directory. */
function folderOf(vaultDir: string): string {
  return path.basename(vaultDir) === VAULT_DIR_NAME ? path.dirname(vaultDir) : vaultDir;
}

/** A reason why an overview ends with an error. The first of the worst ones counts. */
type Shortfall = Required<Pick<CommandResult, 'exitCode' | 'error'>>;

function worst(result: CommandResult, shortfalls: readonly Shortfall[]): CommandResult {
  return shortfalls.reduce<CommandResult>((worse, shortfall) => {
    const isWorse = worseExit(worse.exitCode, shortfall.exitCode) !== worse.exitCode;
    return isWorse ? { ...worse, ...shortfall } : worse;
  }, result);
}

function goneShortfall([first, ...others]: readonly string[]): Shortfall[] {
  if (first === undefined) return [];
  const isOne = others.length === 0;
  const what = isOne ? `${folderOf(first)} is` : `${others.length + 1} vaults are`;
  const message = `${what} not there any more`;
  const hint =
    'Is the disk mounted? A vault that was removed or moved is forgotten by: ecsync status --all-vaults --forget-gone';
  return [{ exitCode: ExitCode.overdue, error: { code: 'vault-gone', message, hint } }];
}

/** Without its hint, which was shown with the vault. */
function unusableShortfall({ exitCode, code, message }: ShownFailure): Shortfall {
  return { exitCode, error: { code, message } };
}
