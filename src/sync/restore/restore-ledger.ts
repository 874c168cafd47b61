/** Counts and reports what a restore did and what went wrong. */
import { IntegrityError, VanishedError, type EcsyncError } from '../../errors.ts';
import type { FlistEntry } from '../../rsync/flist/decode.ts';
import { stripRsyncPrefix } from '../../rsync/outcome/server-errors.ts';
import { showPath } from '../../tree/file-failure.ts';
import type { CopyProblem } from '../../view/decrypt/decrypted-view-problem.ts';
import type { Planned } from '../../view/restoring-store.ts';
import { findingOfProblem, movedFilesText, type FsckFinding } from '../copy/fsck-finding.ts';
import { furtherLostDirIVs, LOST_DIR_IVS_SHOWN } from './lost-dir-ivs.ts';
import { itemLine, plainMessage } from '../push/job/item-line.ts';
import { isSignificant } from '../push/job/itemize.ts';
import type { RestoreReporter, RestoreSettings, RestoreSummary } from './restore-settings.ts';

/**
 * Counts and reports what a restore did and what went wrong, each object once, in plaintext names.
 */
export class RestoreLedger {
  filesRestored = 0;
  filesKept = 0;
  renamed = 0;
  literalBytes = 0;
  matchedBytes = 0;
  bytesSent = 0;
  bytesReceived = 0;
  damaged = 0;
  /** Restored objects that are not as the last push left them, or not in their place. */
  misplaced = 0;
  /** Files that may have been renamed before they were pushed. */
  #moved = 0;
  #holes = { files: 0, blocks: 0 };
  /** Folders that were read without their `gocryptfs.diriv`. */
  #dirIVsLost = 0;
  /** Objects that could not be read or stored. */
  failures = 0;
  vanished = 0;
  /** Files that differ, without an option that says what to do. */
  undecided = 0;
  /** Devices that were left out without an option that asks for it. */
  #devicesLeft = 0;
  /** Objects whose place in the target is reserved for ecsync. */
  #reserved = 0;
  readonly #reporter: RestoreReporter;
  readonly #allowsHoles: boolean;

  constructor(reporter: RestoreReporter, settings: Pick<RestoreSettings, 'allowHoles'>) {
    this.#reporter = reporter;
    this.#allowsHoles = settings.allowHoles === true;
  }

  /** @param linkedTo - the name that a hard link points to */
  item(entry: FlistEntry, planned: Planned, iflags: number, linkedTo?: Uint8Array): void {
    if (!isSignificant(iflags)) return;
    const { plainPath, link } = planned;
    const plain = { path: plainPath, target: link?.target };
    const line = itemLine(entry, iflags, { plain, linkedTo });
    // rsync marks received files with the other arrow.
    this.#reporter.item({ ...line, change: line.change.replace('<', '>') });
  }

  stored(literalBytes: number, matchedBytes: number): void {
    this.filesRestored++;
    this.literalBytes += literalBytes;
    this.matchedBytes += matchedBytes;
  }

  /** A problem with an object of the copy that has no plaintext. */
  structureProblem(problem: CopyProblem): void {
    if (problem.code === 'temporary-directory') return;
    if (problem.code === 'diriv-lost') {
      this.#lostDirIV(problem);
      return;
    }
    const { severity } = findingOfProblem(problem);
    if (severity === 'damage') this.damaged++;
    else if (severity === 'unread') this.failures++;
    this.#reporter.warning({ code: problem.code, message: problem.error.message });
  }

  #lostDirIV({ code, error }: CopyProblem): void {
    this.#dirIVsLost++;
    if (this.#dirIVsLost > LOST_DIR_IVS_SHOWN) return;
    this.#reporter.warning({ code, message: error.message });
  }

  /** An object differs from what the last push left. */
  differs({ severity, code, message }: FsckFinding): void {
    if (severity === 'damage') this.misplaced++;
    this.#reporter.warning({ code, message });
  }

  /**
   * An object has the identity of another place.
   *
   * @param isAllowed - the user allowed that
   */
  notInPlace({ code, message }: EcsyncError, isAllowed: boolean): void {
    if (!isAllowed) this.misplaced++;
    this.#reporter.warning({ code, message });
  }

  /** A restored file that was renamed before it was pushed, or moved in the copy by somebody. */
  moved({ code, message }: IntegrityError): void {
    this.#moved++;
    this.#reporter.detail({ code, message });
  }

  /** A restored file with blocks of zeros that nothing authenticates. */
  holes(plainPath: Uint8Array, count: number): void {
    this.#holes.files++;
    this.#holes.blocks += count;
    const blocks = count === 1 ? '1 block' : `${count} blocks`;
    const message = `${showPath(plainPath)}: ${blocks} of zeros that no key vouches for`;
    if (this.#allowsHoles) this.#reporter.detail({ code: 'hole', message });
    else this.#reporter.warning({ code: 'hole', message });
  }

  /** Reports what was only counted so far. */
  conclude(): void {
    const dirIVs = furtherLostDirIVs(this.#dirIVsLost);
    if (dirIVs !== undefined) this.#reporter.warning({ code: 'diriv-lost', message: dirIVs });
    if (this.#moved === 0) return;
    this.#reporter.warning({ code: 'files-moved', message: movedFilesText(this.#moved) });
  }

  /** An object that could not be restored. */
  problem(error: EcsyncError, entry?: FlistEntry, planned?: Planned): void {
    if (error.cause instanceof IntegrityError) this.damaged++;
    else if (isChange(error)) this.vanished++;
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
   * @param where.folder - the copy, if it is a folder of this machine
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

  /** A file that differs and stays. Reported unless the user asked for that. */
  kept(plainPath: Uint8Array, isWanted: boolean): void {
    this.filesKept++;
    if (isWanted) return;
    this.undecided++;
    const message = `${showPath(plainPath)} is there and differs; it was left as it is`;
    this.#reporter.warning({ code: 'kept', message });
  }

  /** @param isExpected - the user asked to leave such objects out */
  leftOut(plainPath: Uint8Array, kind: string, isExpected: boolean): void {
    if (!isExpected) this.#devicesLeft++;
    const message = `${showPath(plainPath)} is ${kind} in the copy; it was left out`;
    this.#reporter.warning({ code: 'left-out', message });
  }

  /**
   * An object whose place in the target is reserved for ecsync.
   *
   * @param isLoss - it may be a user's object; a vault directory is made again by `clone` or `init`
   */
  reserved(plainPath: Uint8Array, isLoss: boolean): void {
    if (isLoss) this.#reserved++;
    const message = `${showPath(plainPath)} is not restored: ecsync keeps its own there`;
    this.#reporter.warning({ code: 'name-reserved', message });
  }

  /** @param path - its name in the target */
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
    const devices = this.#devicesLeft;
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
    if (this.misplaced > 0) return this.#misplacedError();
    if (this.#holes.files > 0 && !this.#allowsHoles) return this.#holesError();
    if (this.#dirIVsLost > 0) return this.#dirIVsError();
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
          message: `${undecided} ${undecided === 1 ? 'file that differs was left as it is' : 'files that differ were left as they are'}; everything else was restored`,
          hint: 'Replace them with --overwrite changed (or older), keep them with --overwrite never, or restore into another folder.',
        },
      };
    }
    if (devices > 0) {
      return {
        exitCode: 23,
        error: {
          code: 'left-out',
          message: `${devices} ${devices === 1 ? 'device was' : 'devices were'} left out; everything else was restored`,
          hint: 'Were they devices when they were pushed? Then add --devices, or --no-devices to leave them out. A server can turn a file into one.',
        },
      };
    }
    if (this.#reserved > 0) return this.#reservedError();
    if (vanished === 0) return { exitCode: 0 };
    return {
      exitCode: 24,
      error: {
        code: 'vanished',
        message:
          'some files of the copy vanished or changed while it was read, and were not restored',
        hint: 'Is a push going on? Run the same command again.',
      },
    };
  }

  #reservedError(): Pick<RestoreSummary, 'exitCode' | 'error'> {
    const names = this.#reserved === 1 ? '1 name was' : `${this.#reserved} names were`;
    return {
      exitCode: 23,
      error: {
        code: 'name-reserved',
        message: `${names} left out, because ecsync needs them for itself; everything else was restored`,
        hint: 'ecsync cat shows a file of such a name. To leave it out without this error: --exclude.',
      },
    };
  }

  #misplacedError(): Pick<RestoreSummary, 'exitCode' | 'error'> {
    const objects =
      this.misplaced === 1
        ? '1 object of the copy is not as the last push left it'
        : `${this.misplaced} objects of the copy are not as the last push left them`;
    return {
      exitCode: 26,
      error: {
        code: 'copy-differs',
        message: `${objects}, by content or by place; everything that is authentic was restored`,
        hint: 'See the lines above. If another machine has pushed there since: --no-last-push. If things were moved on purpose: --allow-moved.',
      },
    };
  }

  #dirIVsError(): Pick<RestoreSummary, 'exitCode' | 'error'> {
    const count = this.#dirIVsLost;
    const folders = count === 1 ? '1 folder' : `${count} folders`;
    return {
      exitCode: 26,
      error: {
        code: 'dirivs-lost',
        message: `the gocryptfs.diriv of ${folders} of the copy is lost or damaged; what is in them was restored without it`,
        hint: 'Put it back from the source: ecsync verify --repair. Where this folder is to go on with the copy: ecsync adopt --repair.',
      },
    };
  }

  #holesError(): Pick<RestoreSummary, 'exitCode' | 'error'> {
    const { files, blocks } = this.#holes;
    const shown = files === 1 ? '1 file has' : `${files} files have`;
    return {
      exitCode: 26,
      error: {
        code: 'holes',
        message: `${shown} ${blocks} blocks of zeros that no key vouches for; everything was restored`,
        hint: 'gocryptfs leaves such holes in sparse files, and whoever can write to the copy can make them. If they are right: --allow-holes.',
      },
    };
  }
}

/** Matches a possible cipher path in a message. */
const PATH_LIKE = /[A-Za-z0-9_./=-]{22,}/g;

function ownWords(said: string): string {
  const lines = said.split('; ').filter((line) => !line.startsWith('rsync error: '));
  return lines.length === 0
    ? 'not all of it could be read'
    : lines.map(stripRsyncPrefix).join('; ');
}

/** The object was gone or replaced when it was read. */
function isChange(error: EcsyncError): boolean {
  return error instanceof VanishedError || error.cause instanceof VanishedError;
}
