/** Runs work between the hooks of the configuration, and notifies of its end. */
import { ExitCode } from '../../errors.ts';
import type { HooksTable, NotifyTable } from '../../vault/config/config-tables.ts';
import { readUserConfig, userConfigFile } from '../../vault/user/user-config.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { describeFailure } from '../../library/failure.ts';
import { runBeforeHook, runHook, type HookFacts } from './hooks.ts';
import type { Host } from '../frame/host.ts';
import { Healthcheck, notifyDesktop } from './notify.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';

/** A run with hooks and notifications. */
export interface HookedRun {
  readonly vault: Pick<VaultFrame, 'config' | 'source'>;
  readonly command: string;
  /** Name of the remote, or the destination. */
  readonly remote: string;
}

/** A frozen state of the source that the hook before the run has made, and a time before that. */
export interface NamedState {
  readonly folder: string;
  readonly takenMs: number;
}

const GOOD: ReadonlySet<number> = new Set([ExitCode.ok, ExitCode.vanished]);
/** Neither success nor failure: nobody is notified. */
const NEITHER: ReadonlySet<number> = new Set([ExitCode.notNow, ExitCode.interrupted]);

/**
 * Runs `work` between the hooks of the configuration, and sends the notifications.
 *
 * @throws whatever `work` throws; {HookError} `hook-failed`; {UsageError} `hook-not-started`,
 *   `command-invalid`; every code of `readUserConfig`
 */
export async function runWithHooks(
  host: Host,
  warnings: Warnings,
  { vault, command, remote }: HookedRun,
  work: (frozen: NamedState | undefined) => Promise<CommandResult>,
): Promise<CommandResult> {
  const user = readUserConfig(userConfigFile(host.environment, host.platform));
  const hooks: HooksTable = { ...user.hooks, ...vault.config.hooks };
  const notify: NotifyTable = { ...user.notify, ...vault.config.notify };
  let facts: HookFacts = { command, remote, source: vault.source };
  const { healthcheck, healthcheck_log: tellsLog, desktop } = notify;
  const watcher = healthcheck === undefined ? undefined : new Healthcheck(healthcheck, warnings);
  const end = async (result: CommandResult): Promise<void> => {
    const { exitCode, error } = result;
    if (NEITHER.has(exitCode)) return;
    const isGood = GOOD.has(exitCode);
    await callAfter(host, warnings, hooks, { ...facts, ended: { exitCode, error } });
    await watcher?.end(
      exitCode,
      isGood,
      tellsLog === true && !isGood ? logOf(warnings, error) : [],
    );
    if (isGood || desktop !== true) return;
    const reason = error?.message ?? `exit code ${exitCode}`;
    await notifyDesktop(host, `${command} to ${remote} failed: ${reason}`);
  };
  try {
    watcher?.start();
    const takenMs = Date.now();
    const go = await runBeforeHook(host, hooks, facts);
    const folder = go?.folder;
    if (folder !== undefined) facts = { ...facts, frozen: folder };
    const frozen = folder === undefined ? undefined : { folder, takenMs };
    const result = go === undefined ? POSTPONED : await work(frozen);
    await end(result);
    return result;
  } catch (thrown) {
    const { exitCode, code, message } = describeFailure(thrown, host.signal.aborted);
    await end({ exitCode, error: { code, message } });
    throw thrown;
  }
}

/** The messages of the run, for notifications. */
function logOf(warnings: Warnings, error: CommandResult['error']): readonly string[] {
  const lines = warnings.list().map(({ message }) => `warning: ${message}`);
  return error === undefined ? lines : [...lines, error.message];
}

const POSTPONED: CommandResult = {
  exitCode: ExitCode.notNow,
  error: { code: 'hook-postponed', message: "the hook 'before' says: not now" },
};

/** A failure of this hook does not make a successful push fail. */
async function callAfter(
  host: Host,
  warnings: Warnings,
  hooks: HooksTable,
  facts: HookFacts,
): Promise<void> {
  const name = GOOD.has(facts.ended?.exitCode ?? 0) ? 'after' : 'on_error';
  try {
    const { status } = await runHook(host, hooks, name, facts);
    if (status === 0) return;
    const message = `the hook '${name}' ended with status ${status}`;
    warnings.add({ code: 'hook-failed', message });
  } catch (thrown) {
    const { code, message } = describeFailure(thrown, false);
    warnings.add({ code, message });
  }
}
