// Drives a stock `rsync --server --sender` over pipes, as ssh would, with our receiver at the other end.
import type { EcsyncError } from '../../src/errors.ts';
import { senderArgs } from '../../src/rsync/wire/options.ts';
import { pull } from '../../src/rsync/receive/pull.ts';
import type { PullPlan, PullReport } from '../../src/rsync/receive/pull-plan.ts';
import { judge, type Outcome } from '../../src/rsync/outcome/status.ts';
import { makeSpecialFile } from '../../src/transport/programs/special-files.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFSOCK } from '../../src/tree/entry.ts';
import type { LocalEntry } from '../../src/tree/local/local-entry.ts';
import { LocalStore } from '../../src/tree/target/local-store.ts';
import { ARCHIVE, startStockServer } from './stock-rsync.ts';

const KINDS = {
  [S_IFIFO]: 'pipe',
  [S_IFSOCK]: 'socket',
  [S_IFBLK]: 'block-device',
  [S_IFCHR]: 'character-device',
} as const;

/** A store that can make pipes and devices. */
export function storeAt(folder: string): LocalStore {
  return new LocalStore(folder, {
    durable: false,
    makeSpecial: (path, entry) => {
      const kind = KINDS[(entry.mode & S_IFMT) as keyof typeof KINDS];
      return makeSpecialFile(path, { kind, ...(entry.rdev ?? { major: 0, minor: 0 }) });
    },
  });
}

/** What a pull from a stock server came to. */
export interface PullResult {
  readonly report: PullReport;
  readonly outcome: Outcome;
  readonly code: number | null;
  readonly stderr: string;
  /** `iflags path` of every item, in order. */
  readonly items: string[];
  readonly stored: string[];
  readonly deleted: string[];
  readonly problems: string[];
  readonly messages: string[];
}

const text = (path: Uint8Array): string => Buffer.from(path).toString('latin1');

/** Fetches `source/` from a stock server into a folder and waits for both to end. */
export async function pullFolder(
  source: string,
  destination: string,
  changes: Partial<PullPlan<LocalEntry>> & { readonly program?: string } = {},
): Promise<PullResult> {
  const { options = ARCHIVE, paths = [`${source}/`] } = changes;
  const seen = {
    items: [] as string[],
    stored: [] as string[],
    deleted: [] as string[],
    problems: [] as string[],
    messages: [] as string[],
  };
  const store = storeAt(destination);
  const server = startStockServer(senderArgs(options, paths), changes.program);
  try {
    const report = await pull<LocalEntry>(server, {
      options,
      paths,
      store,
      idleTimeoutMs: 20_000,
      onItem: (entry, iflags) => seen.items.push(`${iflags.toString(16)} ${text(entry.path)}`),
      onStored: (entry) => seen.stored.push(text(entry.path)),
      onDeleted: (path, isDirectory) => seen.deleted.push(text(path) + (isDirectory ? '/' : '')),
      onProblem: (error, entry) =>
        seen.problems.push(`${error.code} ${entry === undefined ? '' : text(entry.path)}`),
      onMessage: (level, message) => seen.messages.push(`${level}: ${message.trim()}`),
      ...changes,
    });
    server.output.end();
    const { code, signal, stderr } = await server.ended;
    // Below protocol 30 a server puts its errors into the stream.
    const said = stderr + seen.messages.join('\n');
    const outcome = judge(report, { code, signal }, said, { direction: 'pull' });
    return { report, outcome, code, stderr, ...seen };
  } catch (error) {
    server.kill();
    const { code, stderr } = await server.ended;
    throw Object.assign(error as Error, { serverCode: code, serverStderr: stderr, seen });
  } finally {
    store.close();
  }
}

/** What a pull that must fail threw. */
export async function failureOf(promise: Promise<unknown>): Promise<EcsyncError> {
  return promise.then(
    () => {
      throw new Error('it should have failed');
    },
    (error: unknown) => error as EcsyncError,
  );
}
