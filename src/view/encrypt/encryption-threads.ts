/** Decides which files are encrypted in other threads. */
import { availableParallelism } from 'node:os';
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import type { Layout } from '../../gocryptfs/layout.ts';
import type { OpenFile, WholeFile } from '../../tree/entry.ts';
import type { ListedFile } from '../../tree/local/local-file.ts';
import { CipherFile } from './cipher-file.ts';
import { RUN_SLOT_LENGTH, type FileToEncrypt } from './encryption-jobs.ts';
import { EncryptionPool } from './encryption-pool.ts';
import { WholeFiles } from './whole-file.ts';

/** Cost of opening and closing a file in bytes of content. */
const FILE_COST_BYTES = 16 * 1024;
/** Cost of starting a thread in bytes of content. */
const START_COST_BYTES = 16 * 1024 * 1024;
/** More threads would encrypt faster than one ssh connection can send. */
const THREADS_MAX = 3;

/** How threads find the files. */
export interface ThreadOptions<P> {
  /** Path of an entry of the plaintext tree, and the attributes that identify the file. */
  readonly fileOf: (plain: P) => { readonly fullPath: Uint8Array; readonly listed: ListedFile };
  /**
   * Number of threads. Default: two less than there are processors, at least 1 and at most 3, and
   * none with a single processor. With 0, this thread encrypts everything.
   */
  readonly count?: number;
  /** Encrypt small files in the thread that sends; default with up to two processors. */
  readonly smallHere?: boolean;
  /** Bytes to be requested before the first thread starts; default: the cost of its start. */
  readonly startBytes?: number;
  /** The compiled worker; default: the one beside this file. */
  readonly script?: URL;
}

/** A file of the plaintext tree. */
interface RequestedFile<P> {
  readonly plain: P;
  /** Size of its ciphertext, as listed. */
  readonly size: number;
  readonly identity: FileIdentity;
}

/** Decides which files are encrypted in other threads. It starts none for a handful of files. */
export class EncryptionThreads<P> {
  readonly #layout: Layout;
  readonly #options: ThreadOptions<P>;
  readonly #count: number;
  readonly #whole: WholeFiles | undefined;
  readonly #script: URL | undefined;
  #requestedBytes = 0;
  #pool: EncryptionPool | undefined;

  constructor(layout: Layout, options: ThreadOptions<P>) {
    this.#layout = layout;
    this.#options = options;
    this.#count = options.count ?? defaultCount();
    const { smallHere = availableParallelism() <= 2 } = options;
    if (smallHere) this.#whole = new WholeFiles(layout.content);
    this.#script = options.script ?? workerScript();
  }

  /** @returns undefined for a file that the caller should open, here or in another thread */
  openWhole({ plain, size, identity }: RequestedFile<P>): WholeFile | undefined {
    return this.#whole?.open({ ...this.#options.fileOf(plain), identity }, size);
  }

  /**
   * @returns undefined, at once or by the promise, for a file that the caller should encrypt itself
   */
  open(file: RequestedFile<P>): Promise<OpenFile | undefined> | undefined {
    const { startBytes = START_COST_BYTES } = this.#options;
    this.#requestedBytes += file.size + FILE_COST_BYTES;
    if (this.#count === 0 || this.#script === undefined || this.#requestedBytes < startBytes) {
      return undefined;
    }
    const options = { threads: this.#count, script: this.#script };
    this.#pool ??= new EncryptionPool(this.#layout.contentKeys, options);
    if (this.#pool.isLost) return undefined;
    const requested = { ...this.#options.fileOf(file.plain), identity: file.identity };
    if (file.size > RUN_SLOT_LENGTH / 2) return this.#openLarge(this.#pool, requested);
    return this.#pool.whole(requested, file.size);
  }

  async close(): Promise<void> {
    await this.#pool?.close();
  }

  async #openLarge(pool: EncryptionPool, file: FileToEncrypt): Promise<OpenFile | undefined> {
    const runs = await pool.open(file);
    if (runs === undefined) return undefined;
    const { overhead } = this.#layout.content;
    return new CipherFile(runs, { overhead, fileID: file.identity.fileID });
  }
}

/** Leaves one processor to the sender, and one to a server or other programs. */
function defaultCount(): number {
  const processors = availableParallelism();
  return processors === 1 ? 0 : Math.min(Math.max(1, processors - 2), THREADS_MAX);
}

/** The worker beside this file, compiled or bundled; as TypeScript only where Node can run that. */
function workerScript(): URL | undefined {
  if (!import.meta.url.endsWith('.ts')) return new URL('encryption-worker.js', import.meta.url);
  const runsTypescript =
    'typescript' in process.features && process.features.typescript === 'strip';
  return runsTypescript ? new URL('encryption-worker.ts', import.meta.url) : undefined;
}
