/** Pushes to every remote in turn, for `push --all`. */
import { ExitCode, UsageError } from '../../errors.ts';
import { readVaultFrameOf } from '../frame/place.ts';
import type { PushOptions } from '../settings/push-options.ts';
import { describeFailure } from '../../library/failure.ts';
import { failureLines } from '../frame/failure.ts';
import type { Host } from '../frame/host.ts';
import { askPassword, passwordQuestion } from '../frame/prompt.ts';
import { DONE, type CommandResult } from '../frame/report.ts';

/** Exit codes, the most serious first. */
const WORST_FIRST: readonly number[] = [
  ...[ExitCode.interrupted, ExitCode.unexpected, ExitCode.usage, ExitCode.password],
  ...[ExitCode.noVault, ExitCode.hostKeyOrLogin, ExitCode.remoteRefused, ExitCode.connection],
  ...[ExitCode.overdue, ExitCode.mismatch, ExitCode.deleteLimit, ExitCode.partial, ExitCode.locked],
  ...[ExitCode.vanished, ExitCode.notNow, ExitCode.ok],
];

/** The worse of two exit codes. An unknown one is the worst. */
export function worseExit(a: number, b: number): number {
  return WORST_FIRST.indexOf(a) <= WORST_FIRST.indexOf(b) ? a : b;
}

/** Pushes to one remote. */
export type PushOne = (name: string, options: PushOptions) => Promise<CommandResult>;

/**
 * Pushes to every remote in turn. A failure does not keep the next remote from its turn. A password
 * is asked for once.
 *
 * @returns the worst exit code, and the sums of all figures
 * @throws {UsageError} `no-remote`, `conflicting-options`
 */
export async function pushToAll(
  host: Host,
  options: PushOptions,
  pushOne: PushOne,
): Promise<CommandResult> {
  const vault = readVaultFrameOf(host, options);
  const { remotes } = vault.config;
  if (remotes.length === 0) {
    throw new UsageError('no-remote', 'this vault has no remote yet', {
      hint: 'Add one: ecsync remote add NAME user@host:path',
    });
  }
  if (options.masterkey !== undefined) {
    throw new UsageError('conflicting-options', '--all and --masterkey exclude each other', {
      hint: 'Standard input can be read once only: push to one remote at a time.',
    });
  }
  const results: CommandResult[] = [];
  const question = (): Promise<Buffer> => askPassword(host, passwordQuestion(vault));
  await askingOnce(question, async (ask) => {
    for (const { name } of remotes) {
      const result = await tried(host, name, () => pushOne(name, { ...options, ask }));
      results.push(result);
      const { exitCode, figures, error } = result;
      if (host.out.mode.json) {
        host.out.event({
          type: 'push',
          remote: name,
          exitCode,
          ...figures,
          ...(error && { error }),
        });
      }
      if (host.signal.aborted) break;
    }
  });
  return conclude(results);
}

async function tried(
  host: Host,
  name: string,
  push: () => Promise<CommandResult>,
): Promise<CommandResult> {
  try {
    const result = await push();
    if (result.exitCode === ExitCode.ok || result.error === undefined) return result;
    tell(host, name, failureLines({ exitCode: ExitCode.ok, ...result.error }, false));
    return result;
  } catch (thrown) {
    const failure = describeFailure(thrown, host.signal.aborted);
    tell(host, name, failureLines(failure, (host.environment['ECSYNC_DEBUG'] ?? '') !== ''));
    const { exitCode, code, message, hint } = failure;
    return { exitCode, error: { code, message, ...(hint === undefined ? {} : { hint }) } };
  }
}

function tell({ out }: Host, name: string, lines: readonly string[]): void {
  out.clearStatus();
  for (const line of lines) out.alert(line.replace(/^ecsync: /, `ecsync: ${name}: `));
}

/** Keeps a typed password for the other remotes, and overwrites it at the end. */
async function askingOnce(
  question: () => Promise<Buffer>,
  work: (ask: () => Promise<Buffer>) => Promise<void>,
): Promise<void> {
  let typed: Promise<Buffer> | undefined;
  try {
    await work(async () => {
      typed ??= question();
      return Buffer.from(await typed);
    });
  } finally {
    await typed?.then(
      (password) => password.fill(0),
      () => undefined, // nothing was typed
    );
  }
}

function conclude(results: readonly CommandResult[]): CommandResult {
  const figures: Record<string, number> = {};
  for (const result of results) {
    for (const [key, value] of Object.entries(result.figures ?? {})) {
      if (typeof value === 'number') figures[key] = (figures[key] ?? 0) + value;
    }
  }
  const exitCode = results.map((result) => result.exitCode).reduce(worseExit, ExitCode.ok);
  if (exitCode === ExitCode.ok) return { ...DONE, figures };
  const bad = results.find((result) => result.exitCode === exitCode);
  return { exitCode, figures, ...(bad?.error && { error: bad.error }), shown: true };
}
