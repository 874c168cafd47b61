/** Opens the view of the source and walks it once, while the login and the key are under way. */
import { FileError } from '../../errors.ts';
import { isDirectory } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import type { LocalEntry } from '../../tree/local/local-entry.ts';
import { isAtRangeEnd } from '../../tree/stored-time.ts';
import { pathKey } from '../../bytes/paths.ts';
import { LocalTree } from '../../tree/local/local-tree.ts';
import { UNFINISHED_FOLDER } from '../../tree/target/unfinished-files.ts';
import { TreeAhead } from '../../tree/tree-ahead.ts';
import { EncryptedView } from '../../view/encrypt/encrypted-view.ts';
import { MirrorView } from '../../view/mirror/mirror-view.ts';
import type { Ledger } from './job/ledger.ts';
import { Births, PendingBirths } from './memory/birth-lookup.ts';
import { NO_MOVES, readMoves, type MoveMemory, type MoveStores } from './memory/moves.ts';
import type { OpenVault } from './opened-vault.ts';
import type { PushView } from './source/push-entry.ts';
import type { PushReporter, PushSettings } from './source/push-settings.ts';
import { NOT_ENCRYPTED } from '../run-settings.ts';
import type { Selection } from './source/selection.ts';
import { takeSnapshot, type Snapshot } from './source/snapshot.ts';
import { withXattrs } from './xattrs.ts';

/** The source as this push sees it. */
export interface Source {
  readonly view: PushView;
  readonly snapshot: Snapshot;
  readonly moves: MoveMemory;
}

/** The encrypted view of a folder, which is listed while the key is being derived. */
async function encrypted(
  plain: LocalTree,
  vault: OpenVault,
  { births, ledger }: { readonly births: PendingBirths; readonly ledger: Ledger },
): Promise<EncryptedView<LocalEntry>> {
  const { conf, masterkey, derivation, virtualTimes, inherited } = vault;
  const ahead = new TreeAhead(plain);
  void ahead.run();
  const key = await Promise.resolve(masterkey).finally(() => {
    ahead.stop();
  });
  return new EncryptedView(ahead, {
    conf,
    masterkey: key,
    derivation,
    virtualTimes,
    ...(inherited && { inherited }),
    onProblem: (_path, error) => ledger.problem(error),
    birthOf: (path) => births.of(path),
    threads: { fileOf: (entry) => ({ fullPath: plain.locate(entry), listed: entry }) },
  });
}

const NOTHING_DONE = { filesDone: 0, filesTotal: 0, bytesDone: 0, bytesTotal: 0 };

/** Opens the view and walks it once. */
export async function lookAtSource(
  settings: PushSettings,
  vault: OpenVault | typeof NOT_ENCRYPTED,
  books: {
    readonly selection: Selection;
    readonly ledger: Ledger;
    readonly reporter: PushReporter;
    readonly stores: MoveStores | undefined;
    readonly onView: (view: PushView) => void;
  },
  signal: AbortSignal,
): Promise<Source> {
  const { selection, ledger, reporter, stores, onView } = books;
  const births = new PendingBirths();
  const { frozen } = settings;
  const source = frozen?.folder ?? settings.source;
  const plain = new LocalTree(source, {
    filter: selection.filter,
    ...(selection.limits && { limits: selection.limits }),
    ...vaultIn(settings),
    // What a restore into this folder has not finished, or could not remove.
    skip: (entry) => isDirectory(entry) && pathKey(entry.path) === UNFINISHED_FOLDER,
    onProblem: (_path, error) => ledger.problem(error),
  });
  const view: PushView =
    vault === NOT_ENCRYPTED
      ? new MirrorView(plain, (_path, error) => ledger.problem(error))
      : await encrypted(plain, vault, { births, ledger });
  onView(view);
  const snapshot = await takeSnapshot(view, {
    signal,
    ...(frozen && { takenMs: frozen.takenMs }),
    hardLinks: settings.hardLinks,
    sawFailure: () => ledger.failures > 0,
    onCount: (filesTotal) => reporter.progress({ ...NOTHING_DONE, stage: 'scan', filesTotal }),
  });
  // Only the login may still be pending.
  reporter.progress({ ...NOTHING_DONE, stage: 'connect' });
  reportFarTimes(snapshot, ledger);
  const moves = stores
    ? readMoves(stores, {
        source,
        snapshot,
        view,
        isPart: selection.within.length > 0,
        isFiltered: settings.rules.length > 0 || settings.limits !== undefined,
      })
    : { moves: { ...NO_MOVES, changed: [] }, births: new Births(), save: () => undefined };
  births.settle(moves.births);
  if (!settings.xattrs) return { view, snapshot, moves };
  return { view, moves, snapshot: await withXattrs(view, snapshot, { source, signal, ledger }) };
}

/** The vault directory, if it lies in the folder that is read. */
function vaultIn({ frozen, vaultDir }: PushSettings): { readonly vaultDirectory?: string } {
  if (frozen === undefined) return { vaultDirectory: vaultDir };
  return frozen.vaultDir === undefined ? {} : { vaultDirectory: frozen.vaultDir };
}

/** Reports times that cannot be stored. The content of these objects is pushed. */
function reportFarTimes({ entries }: Snapshot, ledger: Ledger): void {
  for (const entry of entries) {
    if (entry.plain === undefined || !isAtRangeEnd(entry.mtimeSec)) continue;
    const path = showPath(entry.plain.path);
    const message = `${path}: its time of modification is too far out; the copy gets the nearest that can be stored`;
    ledger.problem(new FileError('time-out-of-range', message));
  }
}
