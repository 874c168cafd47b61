/** Reaches a copy, opens it with its key, and closes it again, for everything that reads one. */
import type { EcsyncError } from '../errors.ts';
import { openLayout, type Layout } from '../gocryptfs/layout.ts';
import { CONF_LENGTH_MAX } from '../gocryptfs/format/limits.ts';
import { CONF_NAME_BYTES } from '../gocryptfs/names/names.ts';
import { assertHoldsCopy, refuseMirror } from '../sync/copy/copy-root.ts';
import { derivationByRoot } from '../sync/copy/derivation.ts';
import {
  ReachedCopy,
  type ReadableCopy,
  type ReachSettings,
  type ReadingPlan,
} from '../sync/browse/open-remote-tree.ts';
import { knownCopy, type KnownCopy } from '../sync/push/memory/known-copy.ts';
import type { LoginQuestions } from '../sync/reach/destination-options.ts';
import type { Tree } from '../tree/entry.ts';
import type { VaultFrame } from '../vault/vault.ts';
import { readSmallFile } from '../view/decrypt/decrypted-view-listing.ts';
import type { Caller } from './caller.ts';
import type { CopyKey, UnlockPlace } from './copy-key.ts';
import type { CopyPlace } from './copy-place.ts';
import { isHostFirst } from './early-login.ts';

/** A copy to read, and what opens it. */
export interface CopyAccess {
  readonly place: CopyPlace;
  readonly reach: ReachSettings;
  readonly questions: LoginQuestions;
  readonly unlock: UnlockPlace;
}

/** A copy that can be read and decrypted. */
export interface OpenedCopy {
  readonly reached: ReachedCopy;
  readonly copy: ReadableCopy;
  readonly layout: Layout;
  /** What the vault knows of the copy, if it belongs to a vault. */
  readonly known: KnownCopy | undefined;
  /** The master key was given, and nothing has proved yet that it is right. */
  readonly isUnproven: boolean;
}

/**
 * Reaches a copy, opens it, and closes it again after `use`. A password is asked for before the
 * login if the conf is available, else as soon as it was read.
 *
 * @throws {VaultError} `not-encrypted`, `not-a-copy`
 * @throws as `unlock` and `ReachedCopy`; what `use` throws
 */
export async function withOpenedCopy<T>(
  caller: Caller,
  { place, reach, questions, unlock }: CopyAccess,
  plan: ReadingPlan,
  use: (opened: OpenedCopy) => Promise<T>,
): Promise<T> {
  const { vault, destination } = place;
  const isConfHere = vault !== undefined || destination.kind === 'local';
  const keyHere =
    isConfHere && !isHostFirst(questions, destination) ? await unlock(place) : undefined;
  const masterkeyHere = await keyHere?.masterkey;
  const surroundings = { signal: caller.signal, questions, note: caller.warn };
  return ReachedCopy.with(reach, surroundings, async (reached) => {
    const problems = { count: 0 };
    const onProblem: ReadingPlan['onProblem'] = (...problem) => {
      problems.count++;
      plan.onProblem(...problem);
    };
    const copy = await reached.open({ ...plan, onProblem });
    const key = keyHere ?? (await unlock({ ...place, ...(await confOf(copy.tree, place)) }));
    const signal = plan.reach === 'all' ? caller.signal : undefined;
    const layout = await openLayoutOf(copy.tree, key, { vault, signal });
    if (problems.count === 0) await assertHoldsCopy(copy.tree, layout.names, destination.shown);
    const known = vault && knownCopy(vault, destination);
    const isUnproven = vault === undefined && key.isUnproven === true;
    return use({ reached, copy, layout, known, isUnproven });
  }).finally(() => masterkeyHere?.fill(0));
}

/** The layout of a copy according to its vault, or else to its identities. Overwrites the key. */
async function openLayoutOf(
  tree: Tree,
  { conf, masterkey: opening }: CopyKey,
  {
    vault,
    signal,
  }: { readonly vault: VaultFrame | undefined; readonly signal?: AbortSignal | undefined },
): Promise<Layout> {
  const masterkey = await opening;
  try {
    const isReverse = vault?.derivation === 'reverse' && conf.flags.has('AESSIV');
    const told = vault && (isReverse ? 'reverse' : 'keyed');
    const derivation = told ?? (await derivationByRoot(tree, conf, signal));
    return openLayout(conf, masterkey, derivation);
  } finally {
    masterkey.fill(0);
  }
}

async function confOf(tree: Tree, { destination }: CopyPlace): Promise<{ confBytes?: Uint8Array }> {
  const found = await confOfCopy(tree);
  if (found !== undefined) return { confBytes: found.bytes };
  await refuseMirror(tree, destination.shown);
  return {};
}

/** The conf in the root of a copy. Undefined if there is none. */
export async function confOfCopy(
  tree: Tree,
): Promise<{ readonly bytes: Uint8Array; readonly mtimeSec: number } | undefined> {
  const root = await tree.root();
  const file =
    tree.child === undefined
      ? (await tree.children(root)).find(({ path }) => CONF_NAME_BYTES.equals(path))
      : await tree.child(root, CONF_NAME_BYTES);
  if (file === undefined) return undefined;
  const bytes = await readSmallFile(tree, file, CONF_LENGTH_MAX);
  return bytes === undefined ? undefined : { bytes, mtimeSec: file.mtimeSec };
}

/** Buffers what a tree could not read until a listener is attached. */
export class HeldProblems {
  #held: (readonly [Uint8Array, EcsyncError])[] = [];
  #hear: ((path: Uint8Array, error: EcsyncError) => void) | undefined;

  readonly onProblem = (path: Uint8Array, error: EcsyncError): void => {
    if (this.#hear === undefined) this.#held.push([path, error]);
    else this.#hear(path, error);
  };

  /** Passes on the buffered problems, and later ones at once. */
  tell(hear: (path: Uint8Array, error: EcsyncError) => void): void {
    this.#hear = hear;
    for (const [path, error] of this.#held) hear(path, error);
    this.#held = [];
  }
}
