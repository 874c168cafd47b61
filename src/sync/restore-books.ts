import { IntegrityError, VanishedError, type EcsyncError } from '../errors.ts';
import type { FlistEntry } from '../rsync/flist-decode.ts';
import { plainWords } from '../rsync/status-words.ts';
import { showPath } from '../tree/file-failure.ts';
import type { CopyProblem } from '../view/decrypted-view-problem.ts';
import type { Planned } from '../view/restoring-store.ts';
import { findingOfProblem } from './fsck-finding.ts';
import { itemLine, plainMessage } from './item-line.ts';
import { isSignificant } from './itemize.ts';
import type { RestoreReporter, RestoreSummary } from './restore-settings.ts';

/** The books of one restore: what was done and what went wrong, each told once, in plaintext. */
export class RestoreBooks {
  filesRestored = 0;
  filesKept = 0;
  renamed = 0;
  literalBytes = 0;
  matchedBytes = 0;
  bytesSent = 0;
  bytesReceived = 0;
  damaged = 0;
  /** Something could not be read or stored. */
  failures = 0;
  vanished = 0;
  /** Something differs that nobody said may be replaced. */
  undecided = 0;
  readonly #reporter: RestoreReporter;

  constructor(reporter: RestoreReporter) {
    this.#reporter = reporter;
  }

  /** @param linkedTo - the name that a hard link points to */
  item(entry: FlistEntry, planned: Planned, iflags: number, linkedTo?: Uint8Array): void {
    if (!isSignificant(iflags)) return;
    const { plainPath, link } = planned;
    const plain = { path: plainPath, target: link?.target };
    const line = itemLine(entry, iflags, { plain, linkedTo });
    // rsync's own arrow for what arrives.
    this.#reporter.item({ ...line, change: line.change.replace('<', '>') });
  }

  stored(literalBytes: number, matchedBytes: number): void {
    this.filesRestored++;
    this.literalBytes += literalBytes;
    this.matchedBytes += matchedBytes;
  }

  /** Something of the copy that has no place in the plaintext. */
  structureProblem(problem: CopyProblem): void {
    if (problem.code === 'temporary-directory') return;
    const { severity } = findingOfProblem(problem);
    if (severity === 'damage') this.damaged++;
    else if (severity === 'unread') this.failures++;
    this.#reporter.warning({ code: problem.code, message: problem.error.message });
  }

  /** An object that could not be restored. */
  problem(error: EcsyncError, entry?: FlistEntry, planned?: Planned): void {
    if (error.cause instanceof IntegrityError) this.damaged++;
    else if (error instanceof VanishedError) this.vanished++;
    else this.failures++;
    const message =
      entry === undefined || planned === undefined
        ? error.message
        : plainMessage(error.message, { cipherPath: entry.path, plainPath: planned.plainPath });
    this.#reporter.warning({ code: error.code, message });
  }

  /**
   * A part of the copy could not be listed or read.
   *
   * @param where.folder - the copy, when it is a folder of this machine
   * @param where.planned - plaintext paths by the key of the cipher path, as far as they are known
   */
  incomplete(
    error: EcsyncError,
    {
      folder,
      planned,
    }: { readonly folder: string | undefined; readonly planned: ReadonlyMap<string, Planned> },
  ): void {
    if (error instanceof VanishedError) this.vanished++;
    else this.failures++;
    const { said } = error.facts;
    const isOwn = folder !== undefined && typeof said === 'string';
    const message = isOwn ? `${folder}: ${ownWords(said)}` : error.message;
    const told = message.replace(PATH_LIKE, (found) => {
      const plainPath = planned.get(found)?.plainPath;
      return plainPath === undefined ? found : showPath(plainPath);
    });
    this.#reporter.warning({ code: error.code, message: told });
  }

  /** A difference that stays; told when nobody said that it may. */
  kept(plainPath: Uint8Array, isWanted: boolean): void {
    this.filesKept++;
    if (isWanted) return;
    this.undecided++;
    const message = `${showPath(plainPath)} is there and differs; it was left as it is`;
    this.#reporter.warning({ code: 'kept', message });
  }

  /** @param path - what it is called in the target */
  renamedTo(plainPath: Uint8Array, path: Uint8Array): void {
    this.renamed++;
    const message = `${showPath(plainPath)} cannot have this name here; restored as ${showPath(path)}`;
    this.#reporter.warning({ code: 'renamed', message });
  }

  note(code: string, message: string): void {
    this.#reporter.warning({ code, message });
  }

  summary(): Pick<RestoreSummary, 'exitCode' | 'error'> {
    const { damaged, failures, vanished, undecided } = this;
    if (damaged > 0) {
      return {
        exitCode: 26,
        error: {
          code: 'copy-damaged',
          message: `${damaged} ${damaged === 1 ? 'object of the copy is' : 'objects of the copy are'} damaged and not restored; everything else was restored`,
          hint: 'See the lines above. Restore what is missing from another copy.',
        },
      };
    }
    if (failures > 0) {
      return {
        exitCode: 23,
        error: {
          code: 'partial',
          message: 'some files could not be read or stored; everything else was restored',
          hint: 'See the lines above, mend the cause, and run the same command again.',
        },
      };
    }
    if (undecided > 0) {
      return {
        exitCode: 23,
        error: {
          code: 'kept',
          message: `${undecided} ${undecided === 1 ? 'file that differs was' : 'files that differ were'} left as they are; everything else was restored`,
          hint: 'Replace them with --overwrite changed (or older), keep them with --overwrite never, or restore into another folder.',
        },
      };
    }
    if (vanished === 0) return { exitCode: 0 };
    return {
      exitCode: 24,
      error: {
        code: 'vanished',
        message: 'some files vanished from the copy while it was read',
        hint: 'Is a push going on? Run the same command again.',
      },
    };
  }
}

/** What may be a cipher path in a message. */
const PATH_LIKE = /[A-Za-z0-9_./=-]{22,}/g;

function ownWords(said: string): string {
  const lines = said.split('; ').filter((line) => !line.startsWith('rsync error: '));
  return lines.length === 0 ? 'not all of it could be read' : lines.map(plainWords).join('; ');
}
