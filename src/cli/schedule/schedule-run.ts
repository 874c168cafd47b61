/** The command `schedule run`: pushes to every remote for which a push is due. */
import { ExitCode } from '../../errors.ts';
import { pause } from '../../interruption.ts';
import { isDue, parseDuration, parseRhythm, type Rhythm } from '../../schedule/rhythm.ts';
import type { RemoteConfig } from '../../vault/config/config.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import {
  lastFullPush,
  noteFullPush,
  takeRequest,
  writeOutcome,
  type ScheduledPush,
} from '../../vault/memory/push-record.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { RunOptions } from '../settings/schedule-options.ts';
import { describeFailure } from '../../library/failure.ts';
import { failureLines } from '../frame/failure.ts';
import type { Host } from '../frame/host.ts';
import { startLog } from '../frame/log-file.ts';
import { enterFolder, placeOf, readVaultFrameOf } from '../frame/place.ts';
import { DONE, type CommandResult, type Warnings } from '../frame/report.ts';
import {
  assertRemotes,
  parsePush,
  splitScheduleArguments,
  type ScheduleRequest,
} from './scheduled-push.ts';
import { shownDestinationOf } from '../../vault/destination/remote-destination.ts';

/** After these a retry is useless: the next push is due at its regular time. */
const THROUGH: ReadonlySet<number> = new Set([ExitCode.ok, ExitCode.partial, ExitCode.vanished]);

interface Target {
  readonly name: string;
  /** Canonical text of the destination. */
  readonly shown: string;
}

/**
 * `schedule run`: pushes to every remote for which a push is due, in turn. A failure does not keep
 * the next remote from its turn.
 *
 * @returns the result of the first failed push; 75 if the vault's disk is not mounted
 * @throws what a push throws, if it is the only one
 */
export async function runJob(
  host: Host,
  warnings: Warnings,
  { options, words }: ScheduleRequest<RunOptions>,
): Promise<CommandResult> {
  const rhythm = parseRhythm(options.every, options.at);
  const { ifOlderThan } = options;
  const ageMin =
    ifOlderThan === undefined ? undefined : parseDuration(ifOlderThan, '--if-older-than');
  const away = diskAway(host, options);
  if (away !== undefined) return away;
  const frame = readVaultFrameOf(host, options);
  const { remotes, pushArguments } = splitScheduleArguments(words);
  const targets = targetsOf(host, frame, { remotes, isAll: options.all === true });
  const startedMs = Date.now();
  const requestId = takeRequest(frame.vaultDir, startedMs);
  const due = targets.filter(
    ({ shown }) =>
      requestId !== undefined ||
      isPushDue(
        { rhythm, ageMin },
        { lastMs: lastFullPush(frame.vaultDir, shown), nowMs: startedMs },
      ),
  );
  if (due.length === 0) {
    host.out.success('Not due yet.');
    return DONE;
  }
  if (requestId === undefined) await waitByChance(host, options.delayUpTo ?? 0);
  // As with -C, every relative path of the vault's configuration starts in its folder.
  enterFolder(frame.source);
  const unattended: Host = { ...host, folder: frame.source, canAsk: false };
  return pushAll(unattended, warnings, { frame, due, pushArguments, requestId });
}

/** A path quoted for the system's shell. */
function shellWord(folder: string, platform: NodeJS.Platform): string {
  if (platform === 'win32') return `"${folder}"`;
  return /^[\w./-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", `'\\''`)}'`;
}

/** If the named vault directory does not exist, its disk is probably not mounted. */
function diskAway(host: Host, options: RunOptions): CommandResult | undefined {
  const { vaultDir } = placeOf(host, options);
  if (vaultDir === undefined || pathKind(vaultDir) !== 'absent') return undefined;
  return {
    exitCode: ExitCode.notNow,
    error: {
      code: 'vault-away',
      message: `${vaultDir} is not there, nothing was pushed`,
      hint: `Is its disk mounted? If the vault is gone for good, its job can go, too: ecsync schedule remove --vault-dir ${shellWord(vaultDir, host.platform)}`,
    },
  };
}

function targetsOf(
  { platform }: Host,
  { config, source }: VaultFrame,
  chosen: { readonly remotes: readonly string[]; readonly isAll: boolean },
): readonly Target[] {
  assertRemotes(config, chosen);
  const { remotes, isAll } = chosen;
  const isMeant = (remote: RemoteConfig, index: number): boolean =>
    isAll || (remotes.length === 0 ? index === 0 : remotes.includes(remote.name));
  return config.remotes.filter(isMeant).map((remote) => {
    const shown = shownDestinationOf(remote, { source }, platform);
    // The push to a remote with an invalid URL reports that.
    return { name: remote.name, shown: typeof shown === 'string' ? shown : remote.url };
  });
}

function isPushDue(
  { rhythm, ageMin }: { rhythm: Rhythm | undefined; ageMin: number | undefined },
  times: { lastMs: number | undefined; nowMs: number },
): boolean {
  if (rhythm !== undefined && !isDue(rhythm, times)) return false;
  const { lastMs, nowMs } = times;
  if (ageMin === undefined || lastMs === undefined || lastMs > nowMs) return true;
  return nowMs - lastMs >= ageMin * 60_000;
}

async function waitByChance({ signal }: Host, maxSec: number): Promise<void> {
  if (maxSec > 0) await pause(Math.random() * maxSec * 1000, signal);
}

async function pushAll(
  host: Host,
  warnings: Warnings,
  job: {
    readonly frame: VaultFrame;
    readonly due: readonly Target[];
    readonly pushArguments: readonly string[];
    readonly requestId: string | undefined;
  },
): Promise<CommandResult> {
  const { frame, due, pushArguments, requestId } = job;
  const { vaultDir } = frame;
  const startedMs = Date.now();
  const pushes: ScheduledPush[] = [];
  const results: CommandResult[] = [];
  const endRun = (): void => {
    const exitCode = pushes.find((push) => push.exitCode !== 0)?.exitCode ?? 0;
    writeOutcome(vaultDir, {
      startedMs,
      endedMs: Date.now(),
      exitCode,
      pushes,
      ...(requestId === undefined ? {} : { requestId }),
    });
  };
  for (const { name, shown } of due) {
    const result = await pushOne(host, warnings, { name, pushArguments });
    const message = result.error?.message;
    pushes.push({
      remote: name,
      exitCode: result.exitCode,
      ...(message === undefined ? {} : { message }),
    });
    results.push(result);
    if (THROUGH.has(result.exitCode)) noteFullPush(vaultDir, shown, startedMs);
    if (host.signal.aborted) break;
  }
  endRun();
  if (due.length > 1 && host.out.mode.json) {
    for (const push of pushes) host.out.event({ type: 'push', ...push });
  }
  const [only] = results;
  if (results.length === 1 && only !== undefined) return only;
  const bad = results.find(({ exitCode }) => exitCode !== 0);
  if (bad === undefined) return DONE;
  return {
    exitCode: bad.exitCode,
    ...(bad.error === undefined ? {} : { error: bad.error }),
    shown: true,
  };
}

/** Pushes to one remote. Errors are shown here, so that the next remote gets its turn. */
async function pushOne(
  host: Host,
  warnings: Warnings,
  { name, pushArguments }: { readonly name: string; readonly pushArguments: readonly string[] },
): Promise<CommandResult> {
  try {
    const push = parsePush(name, pushArguments);
    if (push.options.logFile !== undefined) startLog(host, warnings, push.options);
    const result = await push.run(host, warnings);
    if (result.exitCode !== 0 && result.error !== undefined && result.shown !== true) {
      tell(host, name, failureLines({ exitCode: ExitCode.ok, ...result.error }, false));
    }
    return { ...result, shown: true };
  } catch (thrown) {
    const failure = describeFailure(thrown, host.signal.aborted);
    tell(host, name, failureLines(failure, (host.environment['ECSYNC_DEBUG'] ?? '') !== ''));
    const { exitCode, code, message, hint } = failure;
    return {
      exitCode,
      error: { code, message, ...(hint === undefined ? {} : { hint }) },
      shown: true,
    };
  }
}

function tell({ out }: Host, name: string, lines: readonly string[]): void {
  out.clearStatus();
  for (const [index, line] of lines.entries()) {
    out.alert(index === 0 ? line.replace(/^ecsync: /, `ecsync: ${name}: `) : line);
  }
}
