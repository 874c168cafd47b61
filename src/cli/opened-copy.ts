import type { EcsyncError } from '../errors.ts';
import { openLayout, type Layout } from '../gocryptfs/layout.ts';
import { CONF_LENGTH_MAX } from '../gocryptfs/limits.ts';
import { CONF_NAME } from '../gocryptfs/names.ts';
import {
  ReachedCopy,
  type ReadableCopy,
  type ReachSettings,
  type ReadingPlan,
} from '../sync/open-remote-tree.ts';
import type { Tree } from '../tree/entry.ts';
import { readAdopted } from '../vault/adopted.ts';
import { readSmallFile } from '../view/decrypted-view-listing.ts';
import { unlockCopy, type CopyPlace } from './cipher-folder.ts';
import type { CopyOptions, ReachOptions } from './commands/copy-options.ts';
import { questionsFor } from './commands/push.ts';
import type { Host } from './host.ts';
import type { Warnings } from './report.ts';
import { peerSettings } from './run-options.ts';

const CONF_NAME_BYTES = Buffer.from(CONF_NAME);

/** A copy that can be read and decrypted. */
export interface OpenedCopy {
  readonly reached: ReachedCopy;
  readonly copy: ReadableCopy;
  readonly layout: Layout;
  /** Full blocks of zeros are damage: stock gocryptfs writes them, ecsync does not. */
  readonly holesAreDamage: boolean;
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
  const unlock = async (from: CopyPlace): Promise<Layout> => {
    const { conf, masterkey } = await unlockCopy(host, warnings, from, options);
    try {
      return openLayout(conf, masterkey);
    } finally {
      masterkey.fill(0);
    }
  };
  const { vault, destination } = place;
  const isConfHere = vault !== undefined || destination.kind === 'local';
  const known = isConfHere ? await unlock(place) : undefined;
  const surroundings = {
    signal: host.signal,
    questions: questionsFor(host, {
      passwordFile: options.passwordFile,
      vault,
      destination,
      warnings,
    }),
    note: (code: string, message: string) => warnings.add({ code, message }),
  };
  return ReachedCopy.with(reachSettings(place, options), surroundings, async (reached) => {
    const copy = await reached.open(plan);
    const layout = known ?? (await unlock({ ...place, ...(await confOf(copy.tree)) }));
    // What was adopted may have been written by gocryptfs, which leaves holes.
    const holesAreDamage = vault !== undefined && readAdopted(vault.vaultDir) === undefined;
    return use({ reached, copy, layout, holesAreDamage });
  });
}

/** How the options of a command say that a copy is reached. */
export function reachSettings(
  { destination }: Pick<CopyPlace, 'destination'>,
  options: ReachOptions,
): ReachSettings {
  const { via } = options;
  return { destination, ...peerSettings(options), ...(via !== undefined && { via }) };
}

async function confOf(tree: Tree): Promise<{ confBytes?: Uint8Array }> {
  const root = await tree.root();
  const file =
    tree.child === undefined
      ? (await tree.children(root)).find(({ path }) => CONF_NAME_BYTES.equals(path))
      : await tree.child(root, CONF_NAME_BYTES);
  const confBytes = file && (await readSmallFile(tree, file, CONF_LENGTH_MAX));
  return confBytes === undefined ? {} : { confBytes };
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
