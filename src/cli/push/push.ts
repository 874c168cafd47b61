/** The command `push`: updates a destination. */
import type { Command } from 'commander';
import { EcsyncError, ExitCode } from '../../errors.ts';
import type { OpenVault } from '../../sync/push/opened-vault.ts';
import type { PushSurroundings } from '../../sync/push/push.ts';
import type {
  PushFigures,
  PushReporter,
  PushSettings,
  PushSummary,
} from '../../sync/push/source/push-settings.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import { lastFullPush } from '../../vault/memory/push-record.ts';
import { readVault, type StoredVault } from '../../vault/vault.ts';
import { runWithHooks } from './hooked-run.ts';
import { describeFailure } from '../../library/failure.ts';
import { frozenSettings } from './frozen-source.ts';
import type { Host } from '../frame/host.ts';
import { loginQuestions } from '../frame/login-questions.ts';
import { noteVault, placeOf } from '../frame/place.ts';
import { refuseEarly, refuseOtherFolder } from './push-refusals.ts';
import { postpone } from './postpone.ts';
import type { FilterEntry } from '../../library/settings/filter-entries.ts';
import { pushLayers } from '../../library/settings/push-config.ts';
import { settlePush, type SettledPush } from '../../library/settings/push-settings.ts';
import { pushToAll } from './push-all.ts';
import { pathResolver, readPushArguments } from './push-arguments.ts';
import { newsOnly, reportItem } from '../terminal/render-item.ts';
import { askPassword, passwordQuestion } from '../frame/prompt.ts';
import { ProgressReport } from '../terminal/render-progress.ts';
import {
  largestFigures,
  largestLines,
  pushFigures,
  statsLines,
  summaryText,
} from '../terminal/render-summary.ts';
import { callerOf } from '../frame/caller.ts';
import { pushHolding } from '../../library/changing-run.ts';
import type { NOT_ENCRYPTED } from '../../sync/run-settings.ts';
import type { ObservedHolder } from '../../vault/lock/lock-holder.ts';
import { remoteNameOf } from '../../vault/destination/remote-destination.ts';
import { DONE, type CommandResult, type Warnings } from '../frame/report.ts';
import { patienceOf, patiently, PUSH_GOES_ON } from '../../library/retry.ts';
import { shownAge } from '../terminal/run-lines.ts';
import { startUnlocking } from '../secrets/secrets.ts';
import { onceOnline } from './wait-online.ts';
import { peerSettings } from '../frame/run-options.ts';
import type { Selected } from '../frame/selected.ts';
import { shown } from '../terminal/terminal.ts';
import { reportWaiting } from '../frame/vault-lock.ts';
import {
  addConditionOptions,
  addPushOptions,
  givenOptions,
  type PushCommandOptions,
  type PushOptions,
} from '../settings/push-options.ts';

/** Defines `push [REMOTE] [PATH…]`. */
export function definePush(program: Command, select: Selected): void {
  const command = program
    .command('push')
    .summary('encrypt and send what changed')
    .description('Encrypt what changed since the last push and send it to a remote.');
  command.option('--all', 'push to every remote, one after the other');
  addConditionOptions(command);
  const filters = addPushOptions(command);
  onPushArguments(command, filters, (request: PushRequest<PushCommandOptions>) => {
    const { options, words } = request;
    select('push', options, (host, warnings) =>
      options.all === true
        ? pushToAll(host, options, (name, changed) =>
            runPush(host, warnings, { ...request, options: changed, words: [name, ...words] }),
          )
        : runPush(host, warnings, request),
    );
  });
}

/** The options and arguments of a push, or of a command with the same options. */
export interface PushRequest<Options extends PushOptions = PushOptions> {
  readonly options: Options;
  readonly filters: readonly FilterEntry[];
  /** Names of the options that were given on the command line. */
  readonly given: ReadonlySet<string>;
  readonly words: readonly string[];
}

/** Defines `[remote] [path...]` and the options of a push on a command, and passes them on. */
export function onPushArguments<Options extends PushOptions>(
  command: Command,
  filters: readonly FilterEntry[],
  act: (request: PushRequest<Options>) => void,
): void {
  command
    .argument('[remote]', 'name of a remote, or a destination')
    .argument('[path...]', 'only these files and folders')
    .action((remote: string | undefined, paths: readonly string[]) => {
      const words = remote === undefined ? [] : [remote, ...paths];
      act({ options: command.optsWithGlobals(), filters, given: givenOptions(command), words });
    });
}

async function runPush(
  host: Host,
  warnings: Warnings,
  request: PushRequest<PushCommandOptions>,
): Promise<CommandResult> {
  const { vault, settings, options } = await readPush(host, request);
  const notDue = youngerThan(host, vault, { settings, options });
  if (notDue !== undefined) return notDue;
  const { destination } = settings;
  const run = {
    ...{ vault, settings, wait: options.wait },
    hasOwnRules: request.filters.length > 0,
    onWait: (holder: ObservedHolder) => reportWaiting(host, holder),
    postpone: () => postpone(host, options),
  };
  return pushHolding(callerOf(host, warnings), run, (signal) => {
    const holding = { ...host, signal };
    if (settings.dryRun) return pushLocked(holding, warnings, { vault, settings, options });
    noteVault(host, vault.vaultDir);
    const remote = remoteNameOf(host, vault, destination) ?? destination.shown;
    return runWithHooks(holding, warnings, { vault, command: 'push', remote }, (state) =>
      pushLocked(holding, warnings, {
        vault,
        settings: state === undefined ? settings : frozenSettings(settings, vault, state),
        options,
      }),
    );
  });
}

/** `--if-older-than`: the result of a push that is not due. */
function youngerThan(
  { out }: Host,
  { vaultDir }: StoredVault,
  { settings, options }: { readonly settings: PushSettings; readonly options: PushCommandOptions },
): CommandResult | undefined {
  const { ifOlderThan } = options;
  const { shown } = settings.destination;
  const lastMs = lastFullPush(vaultDir, shown);
  if (ifOlderThan === undefined || lastMs === undefined) return undefined;
  const ageMs = Date.now() - lastMs;
  // A clock that was set back must not prevent pushes.
  if (ageMs < 0 || ageMs >= ifOlderThan * 1000) return undefined;
  out.success(`not due: everything was pushed to ${shown} ${shownAge(ageMs)}`);
  return DONE;
}

async function pushLocked(
  host: Host,
  warnings: Warnings,
  {
    vault,
    settings,
    options,
  }: { vault: StoredVault; settings: PushSettings; options: PushCommandOptions },
): Promise<CommandResult> {
  const { destination } = settings;
  return withKey(host, warnings, { vault, options, destination }, async (opened, around) => {
    const { push } = await import('../../sync/push/push.ts');
    let soFar: PushFigures | undefined;
    const cutOff = (figures: PushFigures): void => {
      soFar = figures;
    };
    const reporter = { ...around.reporter, cutOff };
    try {
      const summary = await patiently(callerOf(host, warnings), patienceOf(options), (signal) =>
        onceOnline({ out: host.out, signal }, options.waitOnline, () =>
          push(settings, opened, { ...around, reporter, signal }),
        ),
      );
      return conclude(host, summary, { options, destination });
    } catch (thrown) {
      return cutOffAt(host, { soFar, options }, thrown);
    }
  });
}

function reportStats({ out }: Host, { stats }: PushOptions, figures: PushFigures): void {
  if (stats === true && !out.mode.json) for (const line of statsLines(figures)) out.alert(line);
}

/**
 * The result of a push that an error has ended, with its figures until then.
 *
 * @throws `thrown` itself if it is a bug, or if nothing had begun
 */
function cutOffAt(
  host: Host,
  { soFar, options }: { soFar: PushFigures | undefined; options: PushOptions },
  thrown: unknown,
): CommandResult {
  if (soFar === undefined || !(thrown instanceof EcsyncError)) throw thrown;
  const { stack, exitCode, ...error } = describeFailure(thrown, host.signal.aborted);
  if (stack !== undefined) throw thrown;
  const goesOn = exitCode === ExitCode.interrupted || exitCode === ExitCode.connection;
  if (goesOn) error.hint ??= PUSH_GOES_ON;
  host.out.clearStatus();
  reportStats(host, options, soFar);
  return { exitCode, figures: pushFigures(soFar), error };
}

/**
 * Calls `work` with the vault's key and its surroundings. The key may still be pending: the engine
 * is loaded and the login begins while scrypt runs in a thread. A mirror needs no key, and no
 * password is asked for.
 */
export async function withKey<T>(
  host: Host,
  warnings: Warnings,
  job: {
    readonly vault: StoredVault;
    readonly options: PushOptions;
    readonly destination: Destination;
  },
  work: (vault: OpenVault | typeof NOT_ENCRYPTED, surroundings: PushSurroundings) => Promise<T>,
): Promise<T> {
  const { vault, options, destination } = job;
  const { passwordFile } = options;
  const run = {
    ...{ vault, destination },
    peer: peerSettings(options),
    questions: loginQuestions(host, { passwordFile, vault, destination, warnings }),
    reporter: reporterFor(host, warnings, options),
    unlock: (beforeAsking: () => Promise<void>) => {
      const ask = (): Promise<Buffer> =>
        beforeAsking().then(() => askPassword(host, passwordQuestion(vault)));
      return startUnlocking(host, vault, { ...options, ask }, warnings);
    },
  };
  const { withKeyedVault } = await import('../../library/keyed-run.ts');
  return withKeyedVault(callerOf(host, warnings), run, work).finally(() => host.out.clearStatus());
}

/** The settings of a push, and its vault. */
export interface ReadPush<Options> extends SettledPush<Options> {
  readonly vault: StoredVault;
}

/**
 * Opens the vault, interprets the command line of a push and the configuration, and refuses what
 * can be refused before a password is asked for. Errors as `readVault`, `readPushArguments`,
 * `resolvePaths`, the filter rules and `withConfiguration`.
 */
export async function readPush<Options extends PushOptions>(
  host: Host,
  request: PushRequest<Options>,
): Promise<ReadPush<Options>> {
  const vault = readVault(placeOf(host, request.options));
  const read = await readSettings(host, vault, request);
  await refuseEarly(read.settings);
  return { vault, ...read };
}

async function readSettings<Options extends PushOptions>(
  host: Host,
  vault: StoredVault,
  request: PushRequest<Options>,
): Promise<SettledPush<Options>> {
  const { source, config } = vault;
  refuseOtherFolder(host, vault, request.options);
  const context = { remotes: config.remotes, folder: host.folder, source, platform: host.platform };
  const { destination, paths } = readPushArguments(request.words, context);
  const reportGone = (typed: string): void =>
    host.out.note(`${shown(Buffer.from(typed))} is not here: what the copy has of it is deleted`);
  return settlePush({
    ...{ vault, destination },
    ...request,
    layers: pushLayers(host, vault, remoteNameOf(host, vault, destination)),
    pathsOf: async (deletes) =>
      pathResolver(request.options)(paths, context, deletes ? reportGone : undefined),
  });
}

function reporterFor(host: Host, warnings: Warnings, options: PushOptions): PushReporter {
  const { out } = host;
  const progress = new ProgressReport(out, options.progress === true);
  const isNews = options.retries === undefined ? () => true : newsOnly();
  return {
    item: (line) => {
      if (isNews(line)) reportItem(out, line, options.itemizeChanges === true);
    },
    warning: (warning) => warnings.add(warning),
    progress: (now) => progress.show(now),
  };
}

function conclude(
  host: Host,
  summary: PushSummary,
  { options, destination }: { options: PushOptions; destination: Destination },
): CommandResult {
  host.out.clearStatus();
  reportStats(host, options, summary);
  const { largest } = summary;
  if (!host.out.mode.json) for (const line of largestLines(largest)) host.out.alert(line);
  if (summary.exitCode === ExitCode.ok) {
    host.out.success(summaryText(summary, destination.shown, options.dryRun === true));
  }
  const { exitCode, error } = summary;
  const top = (options.top ?? 0) > 0 ? { largest: largestFigures(largest) } : {};
  return {
    exitCode,
    figures: { ...pushFigures(summary), ...top },
    ...(error === undefined ? {} : { error }),
  };
}
