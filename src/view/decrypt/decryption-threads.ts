/** Decides which files are decrypted in other threads. */
import { availableParallelism } from 'node:os';
import type { Layout } from '../../gocryptfs/layout.ts';
import type { NewFile } from '../../tree/store.ts';
import { DecryptionBudget } from './decryption-budget.ts';
import { DecryptionPool } from './decryption-pool.ts';
import { PlainRunsHere, type PlainRuns } from './plain-runs.ts';

/** A smaller file is decrypted faster than it is handed over. */
const LARGE_FILE_BYTES = 256 * 1024;
/** Cost of starting a thread in bytes of content. */
const START_COST_BYTES = 16 * 1024 * 1024;
/** More threads would decrypt faster than one connection can deliver. */
const THREADS_MAX = 2;

/** How many threads decrypt, and when they start. */
export interface DecryptionOptions {
  /**
   * Default: one less than there are processors, at most 2. With 0, this thread decrypts
   * everything.
   */
  readonly count?: number;
  /** Bytes of large files before the first thread starts; default: the cost of its start. */
  readonly startBytes?: number;
  /** The compiled worker; default: the one beside this file. */
  readonly script?: URL;
}

/** Decides which files are decrypted in other threads. It starts none for a handful of files. */
export class DecryptionThreads {
  /** Shared by all files. */
  readonly budget = new DecryptionBudget();
  readonly #layout: Layout;
  readonly #count: number;
  readonly #startBytes: number;
  readonly #script: URL | undefined;
  #requestedBytes = 0;
  #pool: DecryptionPool | undefined;

  constructor(layout: Layout, options: DecryptionOptions = {}) {
    this.#layout = layout;
    this.#count = options.count ?? Math.min(availableParallelism() - 1, THREADS_MAX);
    this.#startBytes = options.startBytes ?? START_COST_BYTES;
    this.#script = options.script ?? workerScript();
  }

  /**
   * @param about.path - the path that messages show
   * @param about.size - expected length of the ciphertext
   */
  open(file: NewFile, about: { readonly path: Uint8Array; readonly size: number }): PlainRuns {
    const { fd } = file;
    const pool = fd === undefined ? undefined : this.#poolFor(about.size);
    if (fd === undefined || pool === undefined || pool.isLost) {
      return new PlainRunsHere(this.#layout.content, file);
    }
    return pool.open({ fd, path: about.path });
  }

  #poolFor(size: number): DecryptionPool | undefined {
    if (size < LARGE_FILE_BYTES || this.#count === 0 || this.#script === undefined)
      return undefined;
    this.#requestedBytes += size;
    if (this.#requestedBytes < this.#startBytes) return undefined;
    const options = { threads: this.#count, script: this.#script };
    this.#pool ??= new DecryptionPool(this.#layout.contentKeys, options);
    return this.#pool;
  }

  async close(): Promise<void> {
    await this.#pool?.close();
  }
}

/** The worker beside this file, compiled or bundled; as TypeScript only where Node can run that. */
function workerScript(): URL | undefined {
  if (!import.meta.url.endsWith('.ts')) return new URL('decryption-worker.js', import.meta.url);
  const runsTypescript =
    'typescript' in process.features && process.features.typescript === 'strip';
  return runsTypescript ? new URL('decryption-worker.ts', import.meta.url) : undefined;
}
