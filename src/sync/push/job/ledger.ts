/** The ledger of one push over all its runs. */
import { type EcsyncError, VanishedError } from '../../../errors.ts';
import { isRegularFile } from '../../../tree/entry.ts';
import { itemLine, plainMessage, withSlash } from './item-line.ts';
import { DELETING, isNew, isSignificant } from './itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushReporter, Upload } from '../source/push-settings.ts';
import { pathKey } from '../../../bytes/paths.ts';

/** A cipher path in plaintext, or the cipher path itself if it cannot be decrypted. */
export interface ShownPath {
  readonly path: Uint8Array;
  readonly plain: boolean;
  /** True for the conf, diriv and `.name` files, which no plaintext object corresponds to. */
  readonly virtual: boolean;
}

/** Limits how many notes are remembered as already reported. */
const NOTED_MAX = 1000;

/**
 * The ledger of one push over all its rsync runs: what was sent, created and deleted and what went
 * wrong. Everything is reported once, in plaintext names.
 */
export class Ledger {
  filesSent = 0;
  filesDeleted = 0;
  literalBytes = 0;
  matchedBytes = 0;
  bytesSent = 0;
  bytesReceived = 0;
  runs = 0;
  /** Plaintext objects that the copy keeps in an older version, or does not accept. */
  filesKept = 0;
  /** The copy keeps an older gocryptfs.conf. */
  keepsConf = false;
  /** Objects of the source or destination that could not be read or stored (exit 23). */
  failures = 0;
  /** The common cause of all failures of the destination, if it is known. */
  cause: EcsyncError | undefined;
  /** Objects that vanished or changed while they were read (exit 24). */
  vanished = 0;
  readonly #reporter: PushReporter;
  readonly #largest: Upload[] = [];
  readonly #top: number;
  readonly #told = new Set<PushEntry>();
  readonly #deleted = new Set<string>();
  readonly #troubled = new Set<PushEntry>();
  readonly #noted = new Set<string>();

  /** @param top - how many of the largest uploads are remembered */
  constructor(reporter: PushReporter, top = 0) {
    this.#reporter = reporter;
    this.#top = top;
  }

  /** The largest uploads, largest first. */
  get largest(): readonly Upload[] {
    return this.#largest;
  }

  /** An item record of the server. `linkedTo` is the plaintext name a hard link points to. */
  item(entry: PushEntry, iflags: number, linkedTo?: Uint8Array): void {
    if (entry.plain === undefined || !isSignificant(iflags) || this.#told.has(entry)) return;
    if (isNew(iflags)) this.#told.add(entry);
    this.#reporter.item(itemLine(entry, iflags, { plain: entry.plain, linkedTo }));
  }

  sent(entry: PushEntry, literalBytes: number, matchedBytes: number): void {
    this.literalBytes += literalBytes;
    this.matchedBytes += matchedBytes;
    if (entry.plain === undefined || !isRegularFile(entry)) return;
    this.filesSent++;
    this.#rank({ path: entry.plain.path, bytes: literalBytes });
  }

  #rank(upload: Upload): void {
    const least = this.#largest.at(-1)?.bytes ?? 0;
    if (this.#top === 0 || (this.#largest.length === this.#top && upload.bytes <= least)) return;
    const at = this.#largest.findIndex(({ bytes }) => bytes < upload.bytes);
    this.#largest.splice(at === -1 ? this.#largest.length : at, 0, upload);
    if (this.#largest.length > this.#top) this.#largest.pop();
  }

  /** @returns true if this is a plaintext object that was not counted before */
  deleted(shown: ShownPath, directory: boolean): boolean {
    const key = pathKey(shown.path);
    if (shown.virtual || this.#deleted.has(key)) return false;
    this.#deleted.add(key);
    this.filesDeleted++;
    const path = directory ? withSlash(shown.path) : shown.path;
    this.#reporter.item({ change: DELETING, path, plain: shown.plain });
    return true;
  }

  /** A source object that could not be read or changed meanwhile. Reported once. */
  problem(error: EcsyncError, entry?: PushEntry): void {
    if (entry !== undefined && this.#troubled.has(entry)) return;
    if (entry !== undefined) this.#troubled.add(entry);
    if (error instanceof VanishedError) this.vanished++;
    else this.failures++;
    const message =
      entry?.plain === undefined
        ? error.message
        : plainMessage(error.message, { cipherPath: entry.path, plainPath: entry.plain.path });
    this.#reporter.warning({ code: error.code, message });
  }

  /** A note that does not change the outcome. */
  note(code: string, message: string): void {
    // Several runs meet the same obstacle.
    if (this.#noted.has(message)) return;
    if (this.#noted.size < NOTED_MAX) this.#noted.add(message);
    this.#reporter.warning({ code, message });
  }

  /** The exit code of a completed push. */
  exitCode(): 0 | 23 | 24 {
    if (this.failures > 0 || this.filesKept > 0 || this.keepsConf) return 23;
    return this.vanished > 0 ? 24 : 0;
  }
}
