/** Puts a push job together from its settings, the login and the scan. */
import { throttled } from '../../transport/throttle.ts';
import { groupNames, userNames } from '../../tree/local/owner-names.ts';
import type { OpenDestination } from '../reach/destination-remote.ts';
import { NOT_ENCRYPTED } from '../run-settings.ts';
import { ConfThere } from './guards/copy-conf.ts';
import { rootNow, withRoot } from './guards/existing-root.ts';
import { deletionScope } from './job/deletion.ts';
import { KeptNames } from './job/kept-names.ts';
import type { Ledger } from './job/ledger.ts';
import { shownPath, plainLine, type PushJob } from './job/push-job.ts';
import { ProgressMeter } from './job/push-progress.ts';
import type { RunContext } from './job/rsync-run.ts';
import { ServerMessages } from './job/server-message.ts';
import type { PushState } from './memory/push-state.ts';
import type { OpenVault } from './opened-vault.ts';
import type { Source } from './scan.ts';
import { findMountPoints } from './source/mount-points.ts';
import type { PushView } from './source/push-entry.ts';
import type { PushReporter, PushSettings } from './source/push-settings.ts';
import type { Selection } from './source/selection.ts';
import type { Snapshot } from './source/snapshot.ts';

/**
 * Sets the block size to that of one cipher block unless one was given, so that one edit costs two
 * blocks.
 */
export function withBlockSize(settings: PushSettings, view: PushView): PushSettings {
  const blockSize = settings.blockSize ?? view.cipherBlockLength;
  return blockSize === undefined ? settings : { ...settings, blockSize };
}

/** What a job is made of. */
export interface JobParts {
  readonly vault: OpenVault | typeof NOT_ENCRYPTED;
  readonly opened: OpenDestination;
  readonly source: Source;
  readonly selection: Selection;
  /** What the last push remembered; undefined: there was none. */
  readonly state: PushState | undefined;
  readonly ledger: Ledger;
  readonly reporter: PushReporter;
  readonly signal: AbortSignal;
}

/** The push that is under way once the destination is open and the source is known. */
export function pushJob(asked: PushSettings, parts: JobParts): PushJob {
  const { vault, source, state, selection, reporter } = parts;
  const { view, moves } = source;
  const settings = withBlockSize(asked, view);
  const mounts = findMountPoints({
    source: settings.source,
    frozen: settings.frozen?.folder,
    entries: source.snapshot.entries,
    leftOut: selection.mountPoints,
    remembered: settings.forgetMounts ? [] : (state?.mounts ?? []),
  });
  const root = rootNow(settings.destination, state?.root);
  const snapshot = withRoot(source.snapshot, root);
  const kept = new KeptNames(settings.keep);
  const scope = deletionScope(selection, view, mounts.lost, kept.rules);
  const job: PushJob = {
    settings,
    context: { ...contextOf(settings, parts), tell: (line) => plainLine(job, line) },
    reporter,
    snapshot,
    progress: new ProgressMeter(snapshot, reporter),
    messages: new ServerMessages({
      tell: (path) => shownPath(job, path),
      paths: () => pathsOf(snapshot),
    }),
    scope: settings.deleteExcluded ? { ...scope, excluded: [] } : scope,
    moves: moves.moves,
    mounts,
    kept,
    root,
    ...(vault !== NOT_ENCRYPTED && { confThere: new ConfThere(vault.masterkey) }),
  };
  return job;
}

/** What all runs of the push share. */
function contextOf(
  { bandwidth, numericIds, rsyncPath = 'rsync', timeoutSec }: PushSettings,
  { opened, source, ledger, signal }: JobParts,
): Omit<RunContext, 'tell'> {
  return {
    remote: bandwidth === undefined ? opened.remote : throttled(opened.remote, bandwidth),
    destination: opened.path,
    view: source.view,
    ledger,
    rsyncPath,
    ...(!numericIds && { names: { users: userNames(), groups: groupNames() } }),
    timeoutSec,
    signal,
  };
}

function* pathsOf({ entries }: Snapshot): Generator<Uint8Array> {
  for (const { path } of entries) yield path;
}
