/** A copy that can be restored, checked and browsed. */
import path from 'node:path';
import { FileError, IntegrityError, VanishedError, type EcsyncError } from '../../errors.ts';
import { assertFile, followLinks, readOut, treeBelow } from '../../sync/browse/browse.ts';
import { findTest } from '../../sync/browse/find-test.ts';
import { assertRestoresXattrs } from '../../sync/restore/restore-xattrs.ts';
import type { RestoreSummary } from '../../sync/restore/restore-settings.ts';
import type { PeerSettings } from '../../sync/run-settings.ts';
import { isDirectory } from '../../tree/entry.ts';
import { walk } from '../../tree/walk.ts';
import type { CopyProblem } from '../../view/decrypt/decrypted-view-problem.ts';
import type { DecryptedView } from '../../view/decrypt/decrypted-view.ts';
import { browseCopy, findInside } from '../browsing.ts';
import type { Caller } from '../caller.ts';
import type { CopyKey } from '../copy-key.ts';
import { assertEncrypted, type CopyPlace } from '../copy-place.ts';
import { fsckCopy, fsckRecorded } from '../fsck-run.ts';
import type { FsckRunSummary } from '../fsck-summary.ts';
import type { CopyAccess } from '../opened-copy.ts';
import { restoreCopy, restoreRecorded } from '../restore-run.ts';
import type { CheckedQuestions } from './answers.ts';
import {
  assertListOptions,
  findTestsOf,
  FSCK_KINDS,
  fsckChoiceOf,
  rangeOf,
  RESTORE_KINDS,
  restoreSettingsOf,
  type CopyBrowseOptions,
  type CopyFsckOptions,
  type CopyFindOptions,
  type CopyListOptions,
  type CopyReadOptions,
  type CopyRestoreOptions,
} from './copy-choice.ts';
import { copyObjectOf, pathInCopy, type CopyObject, type CopyPath } from './copy-paths.ts';
import { assertArgument } from './given-kinds.ts';
import { questionsFor } from './login.ts';
import { endOf, type OpenRuns } from './open-runs.ts';
import type { Hand } from './pulled.ts';

/**
 * What a copy is, where it is, and what opens it.
 *
 * @internal
 */
export interface CopyParts {
  readonly runs: OpenRuns;
  readonly questions: CheckedQuestions;
  /** Where the copy is, and to which vault it belongs, read again for each operation. */
  readonly place: (caller: Caller) => CopyPlace;
  /** How the copy is reached, and which foreign objects are kept in it. */
  readonly way: (place: CopyPlace) => { peer: PeerSettings; keep: readonly string[] };
  readonly unlock: (caller: Caller, place: CopyPlace) => Promise<CopyKey>;
  /** Closes what was opened for this copy alone. */
  readonly close: () => Promise<void>;
}

/**
 * A copy that can be read: a remote of a vault, by {@link Vault.copy}, or a copy without its vault,
 * by {@link openCopy}. Each operation logs in separately. Several may run at the same time.
 *
 * Every operation throws {LoginError | ConnectionError | RemoteError | ProtocolError} for the peer,
 * {VaultError} `copy-missing`, `layout-unsupported`, {PasswordError} as when opening the vault,
 * {InterruptedError} `interrupted` and {UsageError} `closed`, in addition to its own errors.
 */
export class Copy implements AsyncDisposable {
  readonly #parts: CopyParts;

  private constructor(parts: CopyParts) {
    this.#parts = parts;
  }

  /** @internal */
  static of(parts: CopyParts): Copy {
    return new Copy(parts);
  }

  /**
   * Restores the copy, or parts of it, into a folder. A file gets its name only when all of it was
   * authenticated. Nothing is deleted. An interrupted restore continues when it is run again.
   *
   * @param target - the folder; its last component is made if it is missing
   * @returns the figures; `exitCode` 23, 24 or 26 if part of it could not be done, see `error`
   * @throws {UsageError} `target-overlaps`, `path-missing`, `path-outside`, `xattrs-unsupported`,
   *   `option-invalid`, `option-unknown`
   * @throws {FileError} `parent-missing`, `write-failed` — the target cannot be used
   * @throws {VaultError} `not-a-mirror`
   * @throws {LockedError} `locked` — another restore writes to the folder
   */
  restore(target: string, options: CopyRestoreOptions = {}): Promise<RestoreSummary> {
    return this.#parts.runs.run(options, RESTORE_KINDS, async (caller, listening) => {
      assertArgument('target', target, 'place');
      const place = this.#parts.place(caller);
      const { vault, destination } = place;
      const { peer, keep } = this.#parts.way(place);
      const settings = {
        ...(await restoreSettingsOf(options, keep)),
        ...peer,
        from: destination,
        target: path.resolve(target),
        ...(vault && { vaultDir: vault.vaultDir }),
      };
      assertRestoresXattrs(settings);
      const run = {
        place,
        settings,
        questions: questionsFor(caller, this.#parts.questions, place),
        unlock: (from: CopyPlace) => this.#parts.unlock(caller, from),
        reporter: {
          item: listening.hears(options.onItem),
          warning: listening.hears(options.onWarning),
          detail: listening.hears(options.onDetail),
          progress: listening.hears(options.onProgress),
        },
      };
      const { summary } = await restoreRecorded(caller, run, async () =>
        endOf(await restoreCopy(caller, run)),
      );
      return summary;
    });
  }

  /**
   * Reads the whole copy and authenticates every name and block with the key. Writes nothing.
   *
   * @returns the figures; `exitCode` 26 for damage, 23 or 24 for unread objects
   * @throws {UsageError} `not-encrypted` — a plain mirror
   */
  fsck(options: CopyFsckOptions = {}): Promise<FsckRunSummary> {
    return this.#parts.runs.run(options, FSCK_KINDS, async (caller, listening) => {
      const access = this.#access(caller);
      const { keep } = this.#parts.way(access.place);
      const run = { access, ...fsckChoiceOf(options, keep) };
      const reporter = {
        finding: listening.hears(options.onFinding),
        progress: listening.hears(options.onProgress),
      };
      const isPart = run.sample !== undefined;
      const { summary } = await fsckRecorded(caller, { place: access.place, isPart }, async () =>
        endOf(await fsckCopy(caller, run, reporter)),
      );
      return summary;
    });
  }

  /**
   * Lists a folder of the copy, or yields the object itself if it is no folder. `onProblem`
   * receives unreadable objects. Without it the first problem is thrown after everything else.
   *
   * @param folder - default: the root
   * @throws {UsageError} `path-missing`, `path-outside`, `not-encrypted`
   * @throws {IntegrityError | FileError | VanishedError} an unreadable object
   */
  list(
    folder: CopyPath = '',
    options: CopyListOptions = {},
  ): AsyncGenerator<CopyObject, void, undefined> {
    assertArgument('folder', folder, 'path');
    assertListOptions(options);
    const reach = options.recursive === true ? 'all' : 'little';
    return this.#browse(options, reach, async ({ view, caller, hand }) => {
      const top = await findInside(view, pathInCopy(folder));
      if (!isDirectory(top)) {
        await hand(copyObjectOf(top));
      } else if (options.recursive !== true) {
        for (const child of await view.children(top)) {
          if (!(await hand(copyObjectOf(child)))) return;
        }
      } else {
        for await (const part of walk(treeBelow(view, top), caller.signal)) {
          for (const entry of part) {
            if (entry !== top && !(await hand(copyObjectOf(entry)))) return;
          }
        }
      }
    });
  }

  /**
   * The objects of the copy that pass all given tests. Unreadable objects are handled as in {@link
   * list}.
   *
   * @throws as {@link list}
   */
  find(options: CopyFindOptions = {}): AsyncGenerator<CopyObject, void, undefined> {
    const isWanted = findTest(findTestsOf(options));
    return this.#browse(options, 'all', async ({ view, caller, hand }) => {
      const top = await findInside(view, pathInCopy(options.in ?? ''));
      for await (const part of walk(treeBelow(view, top), caller.signal)) {
        for (const entry of part) {
          const isFound = entry !== top && isWanted(entry);
          if (isFound && !(await hand(copyObjectOf(entry)))) return;
        }
      }
    });
  }

  /**
   * Yields the content of a file, decrypted and authenticated, in pieces. Follows links inside the
   * copy. Content before damage is yielded, and then the damage is thrown. Over SFTP only about the
   * requested range is fetched, otherwise the file up to the end of the range.
   *
   * @throws {UsageError} `path-missing`, `path-outside`, `not-encrypted`
   * @throws {FileError} `not-a-file`, `link-broken`, `link-outside`, `link-circle`, `read-failed`
   * @throws {IntegrityError} the first damaged block
   */
  readFile(
    file: CopyPath,
    options: CopyReadOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    assertArgument('file', file, 'path');
    const range = rangeOf(options);
    return this.#browse(options, 'little', async ({ view, hand }) => {
      const found = await findInside(view, pathInCopy(file));
      const opened = await view.open(assertFile(await followLinks(view, found), found.path));
      try {
        await readOut(opened, range, (piece) => hand(Buffer.from(piece)));
      } finally {
        await opened.close();
      }
    });
  }

  /** Ends running operations. The copy of a vault need not be closed before the vault. */
  close(): Promise<void> {
    return this.#parts.close();
  }

  /** As {@link close}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #access(caller: Caller): CopyAccess {
    const place = this.#parts.place(caller);
    assertEncrypted(place);
    const { destination } = place;
    return {
      place,
      reach: { destination, ...this.#parts.way(place).peer },
      questions: questionsFor(caller, this.#parts.questions, place),
      unlock: (from) => this.#parts.unlock(caller, from),
    };
  }

  #browse<T>(
    options: CopyBrowseOptions,
    reach: 'little' | 'all',
    use: (looking: {
      readonly view: DecryptedView;
      readonly caller: Caller;
      readonly hand: Hand<T>;
    }) => Promise<void>,
  ): AsyncGenerator<T, void, undefined> {
    return this.#parts.runs.iterate<T>(options, async (caller, hand, listening) => {
      let first: EcsyncError | undefined;
      const hear = listening.hears(options.onProblem);
      const tell = (error: unknown): void => {
        if (!isAboutObject(error)) throw error;
        if (options.onProblem === undefined) first ??= error;
        hear(error);
      };
      const onProblem = ({ code, error }: CopyProblem): void => {
        if (code !== 'temporary-directory') tell(error);
      };
      const how = { reach, onError: tell, onProblem };
      await browseCopy(caller, this.#access(caller), how, (view) => use({ view, caller, hand }));
      if (first !== undefined) throw first;
    });
  }
}

function isAboutObject(error: unknown): error is EcsyncError {
  return (
    error instanceof IntegrityError || error instanceof FileError || error instanceof VanishedError
  );
}
