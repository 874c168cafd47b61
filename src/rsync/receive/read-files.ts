/** Lists a sending server's tree and reads some of its files into memory, in one conversation. */
import type { EcsyncError } from '../../errors.ts';
import { isRegularFile, type Entry } from '../../tree/entry.ts';
import type { FlistEntry } from '../flist/decode.ts';
import { fileTooLarge, MemoryStore } from './memory-store.ts';
import type { Peer } from '../wire/peer.ts';
import { pull } from './pull.ts';
import type { PullPlan, PullReport } from './pull-plan.ts';

/** Default limit for all files of one call together. */
const TOTAL_MAX = 256 * 1024 * 1024;
/**
 * Lower bound of `growthMax`: a file that has grown far beyond its limit is left out, and the
 * server does not count as hostile because of it.
 */
const GROWTH_MIN = 16 * 1024 * 1024;

/** What to list, and which files to read into memory. */
export interface ReadFilesPlan extends Pick<
  PullPlan<Entry>,
  'options' | 'paths' | 'senderRules' | 'listWeightMax' | 'idleTimeoutMs' | 'signal'
> {
  /** Which regular files to read. Default: none, so that only the list is fetched. */
  wants?(entry: FlistEntry): boolean;
  /** Longest file to read, in bytes. */
  readonly lengthMax: number;
  /** Limit for all files together, in bytes. Default: 256 MiB. */
  readonly totalMax?: number;
  /**
   * Called with the whole list, before anything is requested. An error that it throws ends the run.
   */
  onList?(entries: readonly FlistEntry[]): Promise<void> | void;
  onMessage?(level: 'info' | 'warning' | 'error', text: string): void;
}

/** What was read. */
export interface ReadFiles {
  /** The whole list, checked and in index order. */
  readonly entries: readonly FlistEntry[];
  /**
   * Path as latin1 text, one character a byte → content, of the wanted files that arrived.
   */
  readonly files: ReadonlyMap<string, Buffer>;
  /**
   * Why wanted files are missing: `file-too-large`, `not-sent`, `vanished`, `verification-failed`.
   */
  readonly problems: readonly EcsyncError[];
  readonly report: PullReport;
}

/**
 * Lists a sending server's tree and reads some of its files into memory, in one conversation.
 *
 * @param peer - a server started with `senderArgs(plan.options, plan.paths)`
 * @throws as {@link pull}
 */
export async function readFiles(peer: Peer, plan: ReadFilesPlan): Promise<ReadFiles> {
  const { lengthMax, totalMax = TOTAL_MAX } = plan;
  const store = new MemoryStore({ lengthMax, totalMax });
  const problems: EcsyncError[] = [];
  let entries: readonly FlistEntry[] = [];
  const isWanted = (entry: FlistEntry): boolean =>
    isRegularFile(entry) && plan.wants?.(entry) === true;
  const report = await pull(peer, {
    options: plan.options,
    paths: plan.paths,
    store,
    growthMax: Math.max(lengthMax, GROWTH_MIN),
    idleTimeoutMs: plan.idleTimeoutMs,
    signal: plan.signal,
    ...(plan.senderRules && { senderRules: plan.senderRules }),
    ...(plan.listWeightMax !== undefined && { listWeightMax: plan.listWeightMax }),
    onList: (list) => {
      entries = list;
      for (const entry of list) {
        if (entry.size > lengthMax && isWanted(entry))
          problems.push(fileTooLarge(entry, lengthMax));
      }
      return plan.onList?.(list);
    },
    wants: (entry) => entry.size <= lengthMax && isWanted(entry),
    onMessage: (level, text) => plan.onMessage?.(level, text),
    onProblem: (error) => problems.push(error),
  });
  return { entries, files: store.files, problems, report };
}
