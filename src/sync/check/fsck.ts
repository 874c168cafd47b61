/** Checks a whole copy: every name, every block and every link is authenticated with the key. */
import {
  ExitCode,
  FileError,
  IntegrityError,
  VanishedError,
  type EcsyncError,
} from '../../errors.ts';
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import {
  isDirectory,
  isRegularFile,
  isSymlink,
  type Entry,
  type OpenFile,
  type Tree,
} from '../../tree/entry.ts';
import { changedMeanwhile } from '../../tree/file-failure.ts';
import { walk } from '../../tree/walk.ts';
import { DecryptedView, type DecryptedViewOptions } from '../../view/decrypt/decrypted-view.ts';
import type { CopyProblem } from '../../view/decrypt/decrypted-view-problem.ts';
import { holeRuleFor, type HoleRule } from '../../view/hole-rule.ts';
import type { IdentityCheck } from '../../view/decrypt/identity-check.ts';
import type { PlainEntry } from '../../view/plain-entry.ts';
import { pathKey } from '../../bytes/paths.ts';
import { PlainFile } from '../../view/decrypt/plain-file.ts';
import {
  DamageList,
  findingAbout,
  findingOfMisplaced,
  findingOfProblem,
  findingOfUnread,
  findingsElsewhere,
  type FsckFinding,
} from '../copy/fsck-finding.ts';
import { checkConf, checkUnfinished } from './fsck-root.ts';
import type { FsckJob, FsckReporter } from './fsck-job.ts';
import type { FsckSummary } from './fsck-summary.ts';

/**
 * Checks a copy from end to end. Intact names and blocks in the wrong place still authenticate.
 * `identities` and `lastPush` detect these, as far as key and vault allow. Extended attributes are
 * not read.
 *
 * @param signal - ends the check by throwing its reason
 * @throws {FileError} `open-failed` — the copy itself cannot be opened
 */
export function fsck<C extends Entry>(
  job: FsckJob<C>,
  reporter: FsckReporter,
  signal: AbortSignal,
): Promise<FsckSummary> {
  return new Check(job, reporter, signal).run();
}

class Check<C extends Entry> {
  readonly #job: FsckJob<C>;
  readonly #reporter: FsckReporter;
  readonly #signal: AbortSignal;
  readonly #tree: Tree<C>;
  readonly #view: DecryptedView<C>;
  readonly #counts = { files: 0, folders: 0, links: 0, others: 0 };
  readonly #findings = { damage: 0, unread: 0, note: 0 };
  #bytesRead = 0;
  #allUnreadVanished = true;
  /** The directory that is being listed. */
  #directory: PlainEntry<C> | undefined;
  /** Findings in hard-linked files by link group, since each is read once. */
  readonly #linked = new Map<number, readonly FsckFinding[]>();
  /** Files whose content is read after the structure, by the key of the cipher path. */
  readonly #later = new Map<string, PlainEntry<C>>();
  /** File IDs of hard-linked files, by link group. */
  readonly #linkedIDs = new Map<number, Uint8Array>();
  /** Further names of hard-linked files, by link group. */
  readonly #furtherNames = new Map<number, PlainEntry<C>[]>();
  #filesSampled = 0;
  /** What could not be read before the root was known, because a remote is listed as a whole. */
  readonly #unreadBefore: (readonly [Uint8Array, EcsyncError])[] = [];

  constructor(job: FsckJob<C>, reporter: FsckReporter, signal: AbortSignal) {
    this.#job = job;
    this.#reporter = reporter;
    this.#signal = signal;
    this.#tree = job.openTree((path, error) => this.#onUnread(path, error));
    const { identities } = job;
    this.#view = new DecryptedView(this.#tree, job.layout, {
      onProblem: (problem) => this.#onProblem(problem),
      ...(identities && { identities, ...this.#readingOn() }),
    });
  }

  async run(): Promise<FsckSummary> {
    this.#directory = await this.#view.root();
    const { cipher } = this.#directory;
    for (const [path, error] of this.#unreadBefore) this.#onUnread(path, error);
    const confFinding = await checkConf(this.#tree, cipher, this.#job.conf);
    if (confFinding !== undefined) this.#add(confFinding);
    const unfinished = await checkUnfinished(this.#tree, cipher);
    if (unfinished !== undefined) this.#add(unfinished);
    const noting: Tree<PlainEntry<C>> = {
      root: () => this.#view.root(),
      children: async (directory) => {
        this.#directory = directory;
        const children = await this.#view.children(directory);
        if (directory.contentUnknown !== true) this.#job.lastPush?.listed(directory.path);
        return children;
      },
      open: (entry) => this.#view.open(entry),
    };
    for await (const part of walk(noting, this.#signal)) {
      for (const entry of part) await this.#checkEntry(entry);
    }
    await this.#checkContents();
    await this.#checkPlaces();
    return this.#summary();
  }

  async #checkEntry(entry: PlainEntry<C>): Promise<void> {
    const counts = this.#counts;
    const differing = this.#job.lastPush?.meet(entry);
    if (differing !== undefined) this.#add(differing);
    if (isDirectory(entry)) counts.folders += 1;
    else if (isSymlink(entry)) counts.links += 1;
    else if (!isRegularFile(entry)) counts.others += 1;
    else {
      counts.files += 1;
      this.#tellProgress(entry);
      if (this.#job.sample?.(entry.path) === false) return;
      this.#filesSampled += 1;
      if (entry.cipher.size === 0) return;
      if (this.#job.contents === undefined) await this.#checkFile(entry);
      else this.#checkLater(entry);
    }
  }

  #checkLater(entry: PlainEntry<C>): void {
    const { linkGroup } = entry.cipher;
    const names = linkGroup === undefined ? undefined : this.#furtherNames.get(linkGroup);
    if (names !== undefined) {
      names.push(entry);
      return;
    }
    if (linkGroup !== undefined) this.#furtherNames.set(linkGroup, []);
    this.#later.set(pathKey(entry.cipher.path), entry);
  }

  async #checkContents(): Promise<void> {
    const wanted = new Map([...this.#later].map(([key, { cipher }]) => [key, cipher]));
    const conclude = (
      cipher: C,
      findings: (entry: PlainEntry<C>) => readonly FsckFinding[],
    ): void => {
      const entry = this.#later.get(pathKey(cipher.path));
      const { linkGroup } = cipher;
      const names = linkGroup === undefined ? [] : (this.#furtherNames.get(linkGroup) ?? []);
      for (const name of entry === undefined ? [] : [entry, ...names]) {
        for (const finding of findings(name)) this.#add(finding);
      }
    };
    await this.#job.contents?.readAll(wanted, {
      read: async (cipher, file) => {
        const entry = this.#later.get(pathKey(cipher.path));
        if (entry === undefined) return () => undefined;
        const found = await this.#inspect(entry, () => Promise.resolve(file));
        return () =>
          conclude(cipher, (name) => (name === entry ? found : this.#alsoNamed(name, found)));
      },
      fail: (cipher, error) => {
        if (!isAboutFile(error)) throw error;
        conclude(cipher, (name) => [findingAbout(name, error)]);
      },
    });
  }

  async #checkFile(entry: PlainEntry<C>): Promise<void> {
    const { linkGroup } = entry.cipher;
    const known = linkGroup === undefined ? undefined : this.#linked.get(linkGroup);
    const findings =
      known === undefined
        ? await this.#inspect(entry, () => this.#tree.open(entry.cipher))
        : this.#alsoNamed(entry, known);
    // The first name of a file gets its link group only when the second name is listed.
    const group = entry.cipher.linkGroup;
    if (group !== undefined && known === undefined) this.#linked.set(group, findings);
    for (const finding of findings) this.#add(finding);
  }

  async #inspect(
    entry: PlainEntry<C>,
    open: () => Promise<OpenFile>,
  ): Promise<readonly FsckFinding[]> {
    let own: FileIdentity | undefined;
    const damage = new DamageList(entry, (code) => this.#severityOf(code, own !== undefined));
    try {
      const file = await this.#decrypted(entry, await open(), (found) => (own = found));
      let state: 'unchanged' | 'changed' = 'unchanged';
      try {
        await file.inspect((found) => damage.add(found), {
          signal: this.#signal,
          onBytes: (count) => {
            this.#bytesRead += count;
            this.#tellProgress(entry);
          },
          identity: () => (this.#job.checksNonces === true ? own : undefined),
        });
      } finally {
        state = await file.close();
      }
      if (state === 'unchanged') return damage.findings;
      throw changedMeanwhile(entry.path);
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!isAboutFile(error)) throw error;
      return [findingAbout(entry, error)];
    }
  }

  /** @param onOwn - receives the identity if it is that of the file's place */
  async #decrypted(
    entry: PlainEntry<C>,
    cipher: OpenFile,
    onOwn: (own: FileIdentity) => void,
  ): Promise<PlainFile> {
    const admit = (fileID: Uint8Array): HoleRule => {
      const { linkGroup } = entry.cipher;
      if (linkGroup !== undefined) this.#linkedIDs.set(linkGroup, fileID);
      const { own } = this.#job.identities?.file(identifiable(entry), fileID) ?? {};
      if (own !== undefined) onOwn(own);
      const { isOnlyEcsync } = this.#job;
      return holeRuleFor({ isOnlyEcsync, isOwnFile: own !== undefined });
    };
    try {
      return new PlainFile(cipher, this.#job.layout.content, { path: entry.path, admit });
    } catch (error) {
      await cipher.close();
      throw error;
    }
  }

  /** The findings in a file, for another name of it. */
  #alsoNamed(entry: PlainEntry<C>, found: readonly FsckFinding[]): readonly FsckFinding[] {
    const { linkGroup } = entry.cipher;
    const fileID = linkGroup === undefined ? undefined : this.#linkedIDs.get(linkGroup);
    if (fileID !== undefined) this.#job.identities?.file(identifiable(entry), fileID);
    return findingsElsewhere(found, entry);
  }

  #severityOf(code: string, isOwnFile: boolean): FsckFinding['severity'] {
    const { isOnlyEcsync, allowHoles } = this.#job;
    if (code === 'nonce-foreign') return isOnlyEcsync ? 'damage' : 'note';
    if (code !== 'hole' || allowHoles !== true) return 'damage';
    return holeRuleFor({ isOnlyEcsync, isOwnFile }) === 'allowed' ? 'note' : 'damage';
  }

  /** Reports objects that are in the wrong place, and missing ones. */
  async #checkPlaces(): Promise<void> {
    const { identities, lastPush, layout } = this.#job;
    const listing = (): AsyncIterable<readonly PlainEntry[]> =>
      walk(new DecryptedView(this.#tree, layout, this.#readingOn()), this.#signal);
    for (const judged of [
      await identities?.judgeLinks(listing),
      await identities?.judgeFiles(listing),
    ]) {
      for (const misplaced of judged ?? []) this.#add(findingOfMisplaced(misplaced));
    }
    // Objects in unlisted folders are not missing.
    if (this.#unreadBefore.length > 0) return;
    for (const finding of lastPush?.conclude() ?? []) this.#add(finding);
  }

  #readingOn(): Pick<DecryptedViewOptions, 'expectedDirIV'> {
    const { identities } = this.#job;
    return identities === undefined
      ? {}
      : { expectedDirIV: (place) => identities.expectedDirIV(place) };
  }

  #onProblem(problem: CopyProblem): void {
    if (problem.code === 'temporary-directory' || this.#job.kept?.explains(problem)) return;
    // A folder with a wrong IV still exists.
    if (problem.plainPath !== undefined) this.#job.lastPush?.pass(problem.plainPath);
    this.#add(findingOfProblem(problem));
  }

  #onUnread(path: Uint8Array, error: EcsyncError): void {
    if (this.#directory === undefined) this.#unreadBefore.push([path, error]);
    else {
      const finding = findingOfUnread(path, error, this.#directory);
      this.#job.lastPush?.pass(finding.plainPath ?? finding.plainDirectory);
      this.#add(finding);
    }
  }

  #add(finding: FsckFinding): void {
    this.#findings[finding.severity] += 1;
    const isGone = finding.code === 'vanished' || finding.code === 'changed';
    if (finding.severity === 'unread' && !isGone) this.#allUnreadVanished = false;
    this.#reporter.finding(finding);
  }

  #tellProgress(entry: PlainEntry<C>): void {
    this.#reporter.progress({
      filesDone: this.#counts.files - 1,
      bytesDone: this.#bytesRead,
      damaged: this.#findings.damage,
      current: entry.path,
    });
  }

  #summary(): FsckSummary {
    const { damage, unread, note } = this.#findings;
    const exitCode =
      damage > 0
        ? ExitCode.mismatch
        : unread === 0
          ? ExitCode.ok
          : this.#allUnreadVanished
            ? ExitCode.vanished
            : ExitCode.partial;
    const placesChecked = this.#job.identities?.isOurs === true;
    const figures = { damaged: damage, unread, notes: note, placesChecked };
    const sampled = this.#job.sample === undefined ? {} : { filesSampled: this.#filesSampled };
    return { ...this.#counts, ...sampled, bytesRead: this.#bytesRead, ...figures, exitCode };
  }
}

function identifiable({ path, cipher }: PlainEntry): Parameters<IdentityCheck['file']>[0] {
  return { plainPath: path, cipherPath: cipher.path, size: cipher.size };
}

function isAboutFile(error: unknown): error is FileError | VanishedError | IntegrityError {
  return (
    error instanceof FileError || error instanceof VanishedError || error instanceof IntegrityError
  );
}
