/** Checks the places of objects in a restore, beside the authenticity of names and blocks. */
import type { Layout } from '../../gocryptfs/layout.ts';
import { isDirectory, type Entry, type Tree } from '../../tree/entry.ts';
import { walk } from '../../tree/walk.ts';
import { DecryptedView } from '../../view/decrypt/decrypted-view.ts';
import type { CopyProblem } from '../../view/decrypt/decrypted-view-problem.ts';
import { EncryptedForm } from '../../view/decrypt/encrypted-form.ts';
import { holeRuleFor } from '../../view/hole-rule.ts';
import { IdentityCheck, type Listing, type Misplaced } from '../../view/decrypt/identity-check.ts';
import { isAtOrBelow, pathKey } from '../../bytes/paths.ts';
import type { PathPair } from '../../view/path-translation.ts';
import type { PlainEntry } from '../../view/plain-entry.ts';
import type { Planned } from '../../view/restoring-store.ts';
import { KeptNames } from '../push/job/kept-names.ts';
import type { LastPush } from '../push/memory/last-push.ts';
import type { RestoreLedger } from './restore-ledger.ts';
import type { RestoreSettings } from './restore-settings.ts';
import type { Selection } from '../push/source/selection.ts';
import type { CopyKeys } from '../push/memory/copy-keys.ts';

/** One restore from an encrypted copy. */
export interface RestoreChecksJob<C extends Entry> {
  readonly tree: Tree<C>;
  readonly layout: Layout;
  readonly opening: CopyKeys;
  readonly settings: Pick<RestoreSettings, 'allowMoved' | 'ignoreLastPush' | 'keep' | 'dryRun'>;
  readonly selection: Pick<Selection, 'verdict' | 'within'>;
  readonly ledger: RestoreLedger;
  readonly signal: AbortSignal;
}

/** Checks one restore as it proceeds. */
export class RestoreChecks<C extends Entry> {
  readonly form: EncryptedForm;
  readonly #job: RestoreChecksJob<C>;
  readonly #identities: IdentityCheck;
  readonly #lastPush: LastPush | undefined;
  #sawUnreadable = false;

  constructor(job: RestoreChecksJob<C>) {
    const { layout, opening, settings, ledger } = job;
    const { known, isOnlyEcsync } = opening;
    this.#job = job;
    const lastPush = settings.ignoreLastPush === true ? undefined : opening.lastPush?.(layout);
    this.#lastPush = lastPush;
    this.#identities = new IdentityCheck(layout, {
      known,
      isExactAt: lastPush && ((plainPath) => lastPush.isExactAt(plainPath)),
      keepsMisplaced: settings.allowMoved === true,
    });
    this.form = new EncryptedForm(layout, {
      holes: holeRuleFor({ isOnlyEcsync, isOwnFile: false }),
      admit: (file, fileID) => {
        const { own, refusal } = this.#identities.file(file, fileID);
        if (refusal !== undefined) throw refusal;
        return holeRuleFor({ isOnlyEcsync, isOwnFile: own !== undefined });
      },
      onHoles: (plainPath, count) => ledger.holes(plainPath, count),
    });
  }

  /** The copy in plaintext. Every wanted object is checked as it is listed. */
  view(onProblem: (problem: CopyProblem) => void): Pick<DecryptedView<C>, 'root' | 'children'> {
    const { tree, layout, ledger, settings } = this.#job;
    const kept = new KeptNames(settings.keep);
    const view = new DecryptedView(tree, layout, {
      identities: this.#identities,
      expectedDirIV: this.#expectedDirIV,
      onProblem: (problem) => {
        this.#pass(problem);
        if (kept.explains(problem)) return;
        const { code, error } = problem;
        const isPlace = code === 'diriv-misplaced' || code === 'diriv-repeated';
        if (isPlace && settings.allowMoved === true) ledger.notInPlace(error, true);
        else onProblem(problem);
      },
    });
    return {
      root: () => view.root(),
      children: async (directory) => {
        const children = await view.children(directory);
        for (const entry of children) this.#meet(entry);
        if (directory.contentUnknown !== true) this.#lastPush?.listed(directory.path);
        return children;
      },
    };
  }

  /**
   * Reports missing objects when everything was listed, and removes misplaced links from the plan.
   *
   * @param isWhole - the listing is complete
   * @returns the remaining plan
   */
  async afterListing(
    planned: ReadonlyMap<string, Planned>,
    isWhole: boolean,
  ): Promise<ReadonlyMap<string, Planned>> {
    const { ledger, settings } = this.#job;
    if (this.#identities.isOurs === false) ledger.note('places-unchecked', UNCHECKED);
    if (isWhole && !this.#sawUnreadable) {
      for (const finding of this.#lastPush?.conclude(this.#isWanted) ?? []) ledger.differs(finding);
    }
    const left = new Map(planned);
    for (const misplaced of await this.#identities.judgeLinks(this.#listing)) {
      if (!this.#isWanted(misplaced.entry.path, false)) continue;
      this.#tell(misplaced);
      const isLeftOut = misplaced.severity === 'damage' && settings.allowMoved !== true;
      if (isLeftOut) left.delete(pathKey(misplaced.entry.cipher.path));
    }
    return left;
  }

  /** Checks that need the content. */
  async afterFetch(): Promise<void> {
    for (const misplaced of await this.#identities.judgeFiles(this.#listing)) this.#tell(misplaced);
    this.#job.ledger.conclude();
  }

  readonly #expectedDirIV = (place: PathPair): Uint8Array | undefined =>
    this.#identities.expectedDirIV(place);

  readonly #listing: Listing = () => {
    const { tree, layout, signal } = this.#job;
    const options = { expectedDirIV: this.#expectedDirIV };
    return walk(new DecryptedView(tree, layout, options), signal);
  };

  readonly #isWanted = (plainPath: Uint8Array, isFolder: boolean): boolean => {
    const { selection } = this.#job;
    if (selection.verdict(plainPath, isFolder) === 'exclude') return false;
    if (selection.within.length === 0) return true;
    const key = pathKey(plainPath);
    return selection.within.some((wanted) => isAtOrBelow(key, wanted));
  };

  #meet(entry: PlainEntry): void {
    const finding = this.#lastPush?.meet(entry);
    if (finding === undefined || !this.#isWanted(entry.path, isDirectory(entry))) return;
    this.#job.ledger.differs(finding);
  }

  #pass({ code, plainPath }: CopyProblem): void {
    if (plainPath !== undefined) this.#lastPush?.pass(plainPath);
    else if (code === 'unreadable') this.#sawUnreadable = true;
  }

  #tell({ severity, error }: Misplaced): void {
    const { ledger, settings } = this.#job;
    if (severity === 'moved') ledger.moved(error);
    else ledger.notInPlace(error, settings.allowMoved === true);
  }
}

const UNCHECKED =
  'gocryptfs made this copy: nothing in it tells whether files and folders are where they belong';
