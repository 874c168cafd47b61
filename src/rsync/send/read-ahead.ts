/** Opens requested files before their turn. */
import type { Entry, OpenFile, WholeFile } from '../../tree/entry.ts';
import { type ChunkLength, FileChunks } from './file-chunks.ts';
import { MATCHED_BLOCK_LENGTH_MAX, MATCHED_SUM_LENGTH_MIN } from '../wire/limits.ts';
import type { Transfer } from './requests.ts';
import { basisSize } from '../wire/sum-head.ts';
import type { SumTable } from '../delta/sum-table.ts';

/** Files open at a time, including the one being sent. */
const OPEN_FILES_MAX = 128;
/** More are opened when this many files and half the bytes are free: batches cost less. */
const OPENED_AT_ONCE = OPEN_FILES_MAX / 2;
/** Bytes read ahead, over all open files. */
const AHEAD_BYTES_MAX = 16 * 1024 * 1024;
/** Small files are read whole, larger ones in chunks of about this length. */
const CHUNK_LENGTH = 256 * 1024;

/** An open file whose first chunk is read or being read. */
export interface Opened {
  readonly file: OpenFile;
  readonly chunks: FileChunks;
  /** The block sums to match against; absent if the file is sent whole. */
  readonly sums: SumTable | undefined;
}

/** An opened file, or the error of opening it. */
export type Opening =
  { readonly opened: Opened } | { readonly whole: WholeFile } | { readonly error: unknown };

interface Slot<E extends Entry> {
  readonly transfer: Transfer<E>;
  readonly bytes: number;
  opening: Promise<Opening> | Opening | undefined;
  /** Called when `opening` is set. */
  onStart?: () => void;
  taken: boolean;
}

/**
 * Opens requested files before their turn, in request order, so that we do not wait for each of
 * many small files. The number of files and of bytes is bounded.
 */
export class ReadAhead<E extends Entry> {
  readonly #open: (entry: E, basisSize: number) => Promise<OpenFile>;
  readonly #openWhole: ((entry: E) => WholeFile | undefined) | undefined;
  readonly #slots = new Map<Transfer<E>, Slot<E>>();
  readonly #pending: Slot<E>[] = [];
  #pendingFirst = 0;
  #openFiles = 0;
  #aheadBytes = 0;
  /** Files are opened as long as they fit; false from when it is full until half is free. */
  #isFilling = true;

  /** @param openWhole - tried first for files without a basis; must not throw */
  constructor(
    open: (entry: E, basisSize: number) => Promise<OpenFile>,
    openWhole?: (entry: E) => WholeFile | undefined,
  ) {
    this.#open = open;
    this.#openWhole = openWhole;
  }

  /** Adds a file that will be taken later. Calls must come in the order of the answers. */
  add(transfer: Transfer<E>): void {
    const slot: Slot<E> = {
      transfer,
      bytes: Math.min(transfer.entry.size, CHUNK_LENGTH),
      opening: undefined,
      taken: false,
    };
    this.#slots.set(transfer, slot);
    this.#pending.push(slot);
    this.#startMore();
  }

  /** The opened file. The caller closes it and then calls {@link release}. */
  take(transfer: Transfer<E>): Promise<Opening> | Opening {
    const slot = this.#slots.get(transfer);
    if (slot === undefined) return this.#openFile(transfer);
    slot.taken = true;
    return slot.opening ?? this.#whenOpened(slot);
  }

  /** Waits until earlier files, which are being closed, free a place. */
  async #whenOpened(slot: Slot<E>): Promise<Opening> {
    await new Promise<void>((resolve) => {
      slot.onStart = resolve;
    });
    return (await slot.opening) ?? this.#openFile(slot.transfer);
  }

  /** Call after closing the file: others may then be opened in its place. */
  release(transfer: Transfer<E>): void {
    const slot = this.#slots.get(transfer);
    if (slot === undefined) return;
    this.#slots.delete(transfer);
    this.#openFiles--;
    this.#aheadBytes -= slot.bytes;
    this.#startMore();
  }

  /** Closes the files that were opened and not taken. */
  async abandon(): Promise<void> {
    this.#pendingFirst = this.#pending.length;
    await Promise.all(
      [...this.#slots.values()].map(async ({ opening, taken }) => {
        const result = taken ? undefined : await opening;
        if (result === undefined || 'error' in result) return;
        if ('whole' in result) {
          result.whole.release();
          return;
        }
        await result.opened.chunks.settled();
        await result.opened.file.close().catch(() => undefined); // the run has failed already
      }),
    );
    this.#slots.clear();
  }

  /** Opens as many files as fit, at least one; once full, it waits until a batch fits. */
  #startMore(): void {
    const hasRoom =
      this.#openFiles <= OPEN_FILES_MAX - OPENED_AT_ONCE && this.#aheadBytes <= AHEAD_BYTES_MAX / 2;
    if (!hasRoom && !this.#isFilling) return;
    this.#isFilling = true;
    for (;;) {
      const slot = this.#pending[this.#pendingFirst];
      if (slot === undefined) break;
      const fits =
        this.#openFiles === 0 ||
        (this.#openFiles < OPEN_FILES_MAX && this.#aheadBytes + slot.bytes <= AHEAD_BYTES_MAX);
      if (!fits) {
        this.#isFilling = false;
        break;
      }
      this.#pendingFirst++;
      this.#openFiles++;
      this.#aheadBytes += slot.bytes;
      const { entry, sums } = slot.transfer;
      const whole = sums === undefined ? this.#openWhole?.(entry) : undefined;
      slot.opening = whole === undefined ? this.#openFile(slot.transfer) : { whole };
      slot.onStart?.();
    }
    if (this.#pendingFirst > 1024) {
      this.#pending.splice(0, this.#pendingFirst);
      this.#pendingFirst = 0;
    }
  }

  async #openFile(transfer: Transfer<E>): Promise<Opening> {
    try {
      const file = await this.#open(transfer.entry, basisSize(transfer.head));
      const sums = worthMatching(transfer.sums) ? transfer.sums : undefined;
      const chunks = new FileChunks(file, chunkLength(sums));
      return { opened: { file, chunks, sums } };
    } catch (error) {
      return { error };
    }
  }
}

function worthMatching(sums: SumTable | undefined): boolean {
  if (sums === undefined) return false;
  const { blockLength, s2length } = sums.head;
  return blockLength <= MATCHED_BLOCK_LENGTH_MAX && s2length >= MATCHED_SUM_LENGTH_MIN;
}

/** Chunks are whole blocks of the basis, so that a positional matcher never gets part of one. */
function chunkLength(sums: SumTable | undefined): ChunkLength {
  if (sums === undefined) return { length: CHUNK_LENGTH, isFree: true };
  const { blockLength } = sums.head;
  const blocks = Math.max(1, Math.floor(CHUNK_LENGTH / blockLength));
  return { length: blocks * blockLength, isFree: false };
}
