/** A pool of buffers for the content of files. */

/** Lengths kept for reuse: small files, and runs of 64 cipher blocks with their header. */
const LENGTHS = [8, 16, 32, 64, 128, 288].map((kib) => kib * 1024);
/** Bytes kept, summed over all lengths. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Reuses the buffers for the content of files. Without it, tens of thousands of small files would
 * each leave a buffer to the garbage collector, which lets 100 MB pile up before it collects.
 */
class BufferPool {
  readonly #kept = new Map<number, Buffer[]>(LENGTHS.map((length) => [length, []]));
  #keptBytes = 0;

  /** A buffer of at least `length` bytes with arbitrary content. */
  take(length: number): Buffer {
    const fitting = LENGTHS.find((candidate) => candidate >= length) ?? length;
    const buffer = this.#kept.get(fitting)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(fitting);
    this.#keptBytes -= fitting;
    return buffer;
  }

  /** Returns a buffer that came from {@link take}; the caller must not use it afterwards. */
  give(buffer: Buffer): void {
    const kept = this.#kept.get(buffer.length);
    if (kept === undefined || this.#keptBytes + buffer.length > KEPT_BYTES_MAX) return;
    this.#keptBytes += buffer.length;
    kept.push(buffer);
  }
}

/** The one pool of this process. */
export const fileBuffers = new BufferPool();
