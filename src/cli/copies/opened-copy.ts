/** Reaches a copy, opens it with its key, and closes it again, for every command that reads one. */
import type { EcsyncError } from '../../errors.ts';
import { openLayout, type Layout } from '../../gocryptfs/layout.ts';
import { CONF_LENGTH_MAX } from '../../gocryptfs/format/limits.ts';
import { CONF_NAME } from '../../gocryptfs/names/names.ts';
import { derivationByRoot } from '../../sync/copy/derivation.ts';
import {
  ReachedCopy,
  type ReadableCopy,
  type ReachSettings,
  type ReadingPlan,
} from '../../sync/browse/open-remote-tree.ts';
import type { Tree } from '../../tree/entry.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { readSmallFile } from '../../view/decrypt/decrypted-view-listing.ts';
import { configuredLayers, configuredWay } from '../settings/configured-way.ts';
import { unlockCopy, type CopyKey, type CopyPlace } from './cipher-folder.ts';
import type { CopyOptions, ReachOptions } from './copy-options.ts';
import { loginQuestions } from '../frame/login-questions.ts';
import { isHostFirst } from '../frame/early-login.ts';
import type { Host } from '../frame/host.ts';
import { knownCopy, type KnownCopy } from '../../sync/push/memory/known-copy.ts';
import type { Warnings } from '../frame/report.ts';
import { peerSettings } from '../frame/run-options.ts';

const CONF_NAME_BYTES = Buffer.from(CONF_NAME);

/** A copy that can be read and decrypted. */
export interface OpenedCopy {
  readonly reached: ReachedCopy;
  readonly copy: ReadableCopy;
  readonly layout: Layout;
  /** What the vault knows of the copy, if it is one of a vault's. */
  readonly known: KnownCopy | undefined;
}

/**
 * Reaches a copy, opens it, and closes it again after `use`. What a password is needed for is asked
 * before the login where the conf is at hand, and otherwise as soon as it was read.
 *
 * @throws as `unlockCopy` and `ReachedCopy`; what `use` throws
 */
export async function withOpenedCopy<T>(
  { host, warnings }: { readonly host: Host; readonly warnings: Warnings },
  place: CopyPlace,
  { options, ...plan }: { readonly options: CopyOptions } & ReadingPlan,
  use: (opened: OpenedCopy) => Promise<T>,
): Promise<T> {
  const unlock = (from: CopyPlace): Promise<CopyKey> => unlockCopy(host, warnings, from, options);
  const { vault, destination } = place;
  const isConfHere = vault !== undefined || destination.kind === 'local';
  const keyHere = isConfHere && !isHostFirst(host, destination) ? await unlock(place) : undefined;
  const surroundings = {
    signal: host.signal,
    questions: loginQuestions(host, {
      passwordFile: options.passwordFile,
      vault,
      destination,
      warnings,
    }),
    note: (code: string, message: string) => warnings.add({ code, message }),
  };
  return ReachedCopy.with(reachSettings(host, place, options), surroundings, async (reached) => {
    const copy = await reached.open(plan);
    const key = keyHere ?? (await unlock({ ...place, ...(await confOf(copy.tree)) }));
    const signal = plan.reach === 'all' ? host.signal : undefined;
    const layout = await openLayoutOf(copy.tree, key, { vault, signal });
    const known = vault && knownCopy(vault, destination);
    return use({ reached, copy, layout, known });
  }).finally(() => keyHere?.masterkey.fill(0));
}

/** Opens a copy as its vault has it, or else as its identities show. Overwrites the key. */
async function openLayoutOf(
  tree: Tree,
  { conf, masterkey }: CopyKey,
  {
    vault,
    signal,
  }: { readonly vault: VaultFrame | undefined; readonly signal?: AbortSignal | undefined },
): Promise<Layout> {
  try {
    const isReverse = vault?.derivation === 'reverse' && conf.flags.has('AESSIV');
    const told = vault && (isReverse ? 'reverse' : 'keyed');
    const derivation = told ?? (await derivationByRoot(tree, conf, signal));
    return openLayout(conf, masterkey, derivation);
  } finally {
    masterkey.fill(0);
  }
}

/** How the options of a command and the configuration say that a copy is reached. */
export function reachSettings(
  host: Host,
  place: Pick<CopyPlace, 'destination' | 'vault'>,
  options: ReachOptions,
): ReachSettings {
  const { via } = options;
  const { destination } = place;
  const way = configuredWay(configuredLayers(host, place), options);
  return { destination, ...peerSettings(options), ...way, ...(via !== undefined && { via }) };
}

async function confOf(tree: Tree): Promise<{ confBytes?: Uint8Array }> {
  const found = await confOfCopy(tree);
  return found === undefined ? {} : { confBytes: found.bytes };
}

/** The conf in the root of a copy; undefined when there is none. */
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

/** What a tree could not read, until somebody is there to hear it. */
export class HeldProblems {
  #held: (readonly [Uint8Array, EcsyncError])[] = [];
  #hear: ((path: Uint8Array, error: EcsyncError) => void) | undefined;

  readonly onProblem = (path: Uint8Array, error: EcsyncError): void => {
    if (this.#hear === undefined) this.#held.push([path, error]);
    else this.#hear(path, error);
  };

  /** Passes on what came so far, and what comes from now on at once. */
  tell(hear: (path: Uint8Array, error: EcsyncError) => void): void {
    this.#hear = hear;
    for (const [path, error] of this.#held) hear(path, error);
    this.#held = [];
  }
}
