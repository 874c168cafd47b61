/** The common parts of `ls`, `cat` and `find`: a decrypted copy, paths in it, and error reports. */
import {
  EcsyncError,
  ExitCode,
  FileError,
  IntegrityError,
  UsageError,
  VanishedError,
  type ExitCode as ExitCodes,
} from '../../errors.ts';
import { findingOfProblem } from '../../sync/copy/fsck-finding.ts';
import { furtherLostDirIVs, LOST_DIR_IVS_SHOWN } from '../../sync/restore/lost-dir-ivs.ts';
import { browseCopy, findInside } from '../../library/browsing.ts';
import type { CopyPlace } from '../../library/copy-place.ts';
import { withRemoteHint } from '../../library/missing-path.ts';
import type { DecryptedView } from '../../view/decrypt/decrypted-view.ts';
import type { PlainEntry } from '../../view/plain-entry.ts';
import type { CopyProblem } from '../../view/decrypt/decrypted-view-problem.ts';
import { findCopy } from './cipher-folder.ts';
import type { CopyOptions } from './copy-options.ts';
import { typedBytes } from '../frame/escaped-paths.ts';
import { describeFailure } from '../../library/failure.ts';
import { findingEvent, findingText } from './fsck-output.ts';
import type { Host } from '../frame/host.ts';
import { callerOf } from '../frame/caller.ts';
import { copyAccess } from './copy-access.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import { pathFromTop } from '../frame/vault-paths.ts';

/** Options of the commands that browse a copy. */
export interface BrowseOptions extends CopyOptions {
  readonly from?: string;
  /** Typed and listed paths are escaped. */
  readonly escaped?: boolean;
}

/** A copy to browse. */
export interface Browsing {
  readonly view: DecryptedView;
  readonly trouble: Trouble;
  /** The path in the copy for a typed path. */
  toInside(typed: string): Uint8Array;
  /** The object at a path. If there is none, that was reported. */
  find(inside: Uint8Array): Promise<PlainEntry | undefined>;
}

/**
 * Opens the copy that `--from` names, or the vault's first remote, and calls `use` with it.
 *
 * @param reach - how much of it will be read
 */
export async function browse(
  { host, warnings }: { readonly host: Host; readonly warnings: Warnings },
  { options, reach }: { readonly options: BrowseOptions; readonly reach: 'little' | 'all' },
  use: (browsing: Browsing) => Promise<void>,
): Promise<CommandResult> {
  const place = findCopy(host, options, options.from);
  const trouble = new Trouble(host);
  const how = {
    reach,
    onError: (error: unknown) => trouble.add(error),
    onProblem: (problem: CopyProblem) => trouble.addProblem(problem),
  };
  const access = copyAccess(host, warnings, { place, options });
  const traffic = await browseCopy(callerOf(host, warnings), access, how, (view) =>
    use({
      view,
      trouble,
      toInside: (typed) =>
        pathFromTop(typedBytes(typed, options.escaped), {
          folder: host.folder,
          source: place.vault?.source,
        }),
      find: (inside) => found({ view, trouble, place }, inside),
    }),
  );
  return trouble.result(traffic);
}

async function found(
  {
    view,
    trouble,
    place,
  }: { readonly view: DecryptedView; readonly trouble: Trouble; readonly place: CopyPlace },
  inside: Uint8Array,
): Promise<PlainEntry | undefined> {
  try {
    return await findInside(view, inside);
  } catch (error) {
    trouble.add(withRemoteHint(error, place.vault?.config.remotes ?? []));
    return undefined;
  }
}

/** Reports problems as they occur, and the result at the end. */
class Trouble {
  readonly #host: Host;
  #damaged = 0;
  #unread = 0;
  #vanished = 0;
  /** Number of requested paths that do not exist. */
  #absent = 0;
  #problems = 0;
  #first: EcsyncError | undefined;
  /** Number of folders that were read without their `gocryptfs.diriv`. */
  #dirIVsLost = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Reports a problem with one object. The command continues with the next.
   *
   * @throws anything that concerns more than one object
   */
  add(error: unknown): void {
    if (!(error instanceof EcsyncError) || !this.#count(error)) throw error;
    const { out } = this.#host;
    const { message, code, hint } = describeFailure(error, false);
    if (out.mode.json) out.event({ type: 'problem', code, message });
    out.alert(`ecsync: ${message}`);
    if (hint !== undefined && this.#first?.hint !== hint) out.alert(`hint: ${hint}`);
    this.#first ??= error;
  }

  /** An object of the copy that cannot be listed. */
  addProblem(problem: CopyProblem): void {
    if (problem.code === 'temporary-directory') return;
    const finding = findingOfProblem(problem);
    if (!this.#count(problem.error)) throw problem.error;
    this.#first ??= problem.error;
    const { out } = this.#host;
    if (out.mode.json) out.event(findingEvent(finding));
    if (problem.code !== 'diriv-lost') out.alert(`ecsync: left out: ${findingText(finding)}`);
    else if (++this.#dirIVsLost <= LOST_DIR_IVS_SHOWN) out.alert(`ecsync: ${finding.message}`);
  }

  result(figures: Readonly<Record<string, number>>): CommandResult {
    const more = furtherLostDirIVs(this.#dirIVsLost);
    if (more !== undefined) this.#host.out.alert(`ecsync: ${more}`);
    const exitCode = this.#exitCode();
    if (exitCode === ExitCode.ok || this.#first === undefined) return { exitCode, figures };
    const { code, message, hint } = this.#first;
    const error = { code, message, ...(hint === undefined ? {} : { hint }) };
    return { exitCode, figures: { ...figures, problems: this.#problems }, error, shown: true };
  }

  #count(error: EcsyncError): boolean {
    if (error instanceof IntegrityError) this.#damaged += 1;
    else if (error instanceof VanishedError) this.#vanished += 1;
    else if (error instanceof FileError) this.#unread += 1;
    else if (error instanceof UsageError && error.code === 'path-missing') this.#absent += 1;
    else return false;
    this.#problems += 1;
    return true;
  }

  #exitCode(): ExitCodes {
    if (this.#damaged > 0) return ExitCode.mismatch;
    if (this.#unread > 0) return ExitCode.partial;
    if (this.#absent > 0) return ExitCode.usage;
    return this.#vanished > 0 ? ExitCode.vanished : ExitCode.ok;
  }
}
