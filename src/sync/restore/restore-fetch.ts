/** Fetches the planned content of a restore in one rsync run. */
import type { FlistEntry } from '../../rsync/flist/decode.ts';
import type { TransferOptions } from '../../rsync/wire/options.ts';
import { currentUmask } from '../../platform.ts';
import { pull } from '../../rsync/receive/pull.ts';
import { isRegularFile } from '../../tree/entry.ts';
import type { LocalEntry } from '../../tree/local/local-entry.ts';
import type { LocalStore } from '../../tree/target/local-store.ts';
import { groupIds, userIds } from '../../tree/local/owner-names.ts';
import {
  RestoringStore,
  type Planned,
  type StoredForm,
  type Unfinished,
} from '../../view/restoring-store.ts';
import { pathKey } from '../../bytes/paths.ts';
import { listingOptions, runPull, type RemoteSource } from '../copy/remote-tree-run.ts';
import { rulesForOnly } from '../copy/remote-tree-rules.ts';
import type { RestoreLedger } from './restore-ledger.ts';
import type { RestorePlan } from './restore-plan.ts';
import type { RestoredXattrs } from './restore-xattrs.ts';
import type { RestoreReporter, RestoreSettings } from './restore-settings.ts';

/** Up to this many objects are requested by name. For more, the whole copy is listed again. */
const REQUESTED_BY_NAME_MAX = 1000;

/**
 * Permissions without set-user-id, set-group-id and sticky. Nothing authenticates these in a copy.
 */
const ORDINARY_MODE_BITS = 0o777;

/** What is fetched, and where it is stored. */
export interface FetchJob {
  readonly plan: RestorePlan;
  readonly settings: RestoreSettings;
  readonly source: RemoteSource;
  readonly form: StoredForm;
  /** Length of a block that matches only at its own offset. Absent: rsync's own choice. */
  readonly blockSize?: number | undefined;
  readonly target: LocalStore;
  readonly rootIsNew: boolean;
  /** It was already reported that parts of the copy cannot be read. */
  readonly isKnownIncomplete: boolean;
  readonly unfinished?: Unfinished<LocalEntry>;
  /** Absent without `-X`, and if the source has no attributes. */
  readonly xattrs?: RestoredXattrs | undefined;
  readonly ledger: RestoreLedger;
  readonly reporter: RestoreReporter;
  readonly signal: AbortSignal;
}

/**
 * Fetches everything in the plan in one rsync run.
 *
 * @throws {LoginError | ConnectionError | RemoteError | ProtocolError} the peer
 * @throws {FileError} nothing can be stored any more
 * @throws {InterruptedError} `interrupted`
 */
export async function fetchContent(job: FetchJob): Promise<void> {
  const { plan, source, ledger, signal } = job;
  const { planned } = plan;
  if (planned.size === 0) return;
  const options = transferOptions(job);
  const progress = new FetchProgress(job);
  const planFor = ({ path }: FlistEntry): Planned | undefined => planned.get(pathKey(path));
  const { form, target, unfinished } = job;
  const store = new RestoringStore<LocalEntry>({
    form,
    target,
    planned,
    ...(unfinished && { unfinished }),
  });
  let problems = 0;
  const converse: Parameters<typeof runPull>[1] = async (connection) => {
    const report = await pull(connection, {
      options,
      paths: [source.path],
      store,
      localDefaults: {
        users: userIds(),
        groups: groupIds(),
        umask: currentUmask(),
        ...(job.settings.specialModes !== true && { modeBits: ORDINARY_MODE_BITS }),
      },
      senderRules: planned.size <= REQUESTED_BY_NAME_MAX ? rulesFor(planned) : (source.rules ?? []),
      rootIsNew: job.rootIsNew,
      keepsRoot: true,
      signal,
      ...(source.timeoutSec > 0 && { idleTimeoutMs: source.timeoutSec * 1000 }),
      wants: (entry) => planFor(entry) !== undefined,
      onItem: (entry, iflags, xname) => {
        const object = planFor(entry);
        if (object === undefined) return;
        job.xattrs?.itemized(entry);
        const linkedTo = xname && planned.get(pathKey(xname))?.plainPath;
        ledger.item(entry, object, iflags, linkedTo);
        progress.reached(entry, object);
      },
      onStored: (entry, literal, matched) => {
        ledger.stored(literal, matched);
        progress.done(entry);
      },
      onProgress: (entry, bytes) => progress.within(entry, bytes, planFor(entry)),
      onXattrs: (entry, xattrs) => {
        const object = planFor(entry);
        if (object !== undefined) job.xattrs?.arrived(entry, object, xattrs);
      },
      onProblem: (error, entry) => {
        problems++;
        if (entry !== undefined && error.code !== 'attributes-failed') job.xattrs?.failed(entry);
        ledger.problem(error, entry, entry && planFor(entry));
      },
    });
    ledger.bytesSent += report.bytesSent;
    ledger.bytesReceived += report.bytesReceived;
    return report;
  };
  let incomplete: Awaited<ReturnType<typeof runPull>>;
  try {
    incomplete = await runPull(source, converse, options);
  } finally {
    await form.close();
  }
  if (incomplete === undefined || problems > 0 || job.isKnownIncomplete) return;
  ledger.incomplete(incomplete, { folder: copyFolder(job.settings), planned });
}

/** The folder of a local copy that is read in this process. */
export function copyFolder({ from, rsyncPath }: RestoreSettings): string | undefined {
  return from.kind === 'local' && rsyncPath === undefined ? from.path : undefined;
}

function rulesFor(planned: ReadonlyMap<string, Planned>): ReturnType<typeof rulesForOnly> {
  return rulesForOnly([...planned.keys()].map((key) => Buffer.from(key, 'latin1')));
}

function transferOptions({ settings, source, blockSize, xattrs }: FetchJob): TransferOptions {
  const { perms, owner, group, devices, specials, numericIds, dryRun, overwrite } = settings;
  return {
    ...listingOptions(source),
    perms,
    owner,
    group,
    devices,
    specials,
    numericIds,
    dryRun,
    ignoreTimes: overwrite === 'always',
    xattrs: xattrs !== undefined,
    ...(blockSize !== undefined && { blockSize }),
  };
}

/** Tracks the progress of the run through the files. */
class FetchProgress {
  readonly #job: FetchJob;
  #filesDone = 0;
  #bytesDone = 0;

  constructor(job: FetchJob) {
    this.#job = job;
  }

  reached(entry: FlistEntry, { plainPath }: Planned): void {
    if (isRegularFile(entry)) this.#tell(0, plainPath);
    else this.#filesDone++;
  }

  within(_entry: FlistEntry, bytes: number, planned: Planned | undefined): void {
    this.#tell(bytes, planned?.plainPath);
  }

  done(entry: FlistEntry): void {
    this.#filesDone++;
    this.#bytesDone += entry.size;
  }

  #tell(within: number, current: Uint8Array | undefined): void {
    const { plan, reporter } = this.#job;
    reporter.progress({
      stage: 'fetch',
      filesDone: Math.min(this.#filesDone, plan.count),
      filesTotal: plan.count,
      bytesDone: Math.min(this.#bytesDone + within, plan.cipherBytes),
      bytesTotal: plan.cipherBytes,
      ...(current && { current }),
    });
  }
}
