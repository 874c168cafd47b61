/** Compares the source with the copy that is being adopted, by a dry run. */
import { type Entry, isRegularFile } from '../../tree/entry.ts';
import { LocalTree } from '../../tree/local/local-tree.ts';
import type { AdoptComparison } from './adopt-summary.ts';
import { pathKey, splitPath } from '../../bytes/paths.ts';
import type { ItemLine, PushReporter, PushSummary } from '../push/source/push-settings.ts';

/**
 * A warning that the copy may have been made from another source: less than a tenth of the copy is
 * in this one.
 *
 * @returns undefined if more of it is
 */
export function strangerWarning(
  { matching, differing, extra }: AdoptComparison,
  source: string,
): string | undefined {
  const shared = matching + differing;
  if (shared * 10 >= shared + extra) return undefined;
  const found = shared === 0 ? 'nothing' : `only ${shared} of ${shared + extra} objects`;
  return `${found} of the copy is in ${source}: is it the right folder? A push with --delete removes from the copy what the folder does not have; only its limit (see --max-delete) is in the way`;
}

const NEW_OBJECT = '+++++++++';

/** Counts the items of a dry run. */
export class ComparisonCount implements PushReporter {
  readonly warning: PushReporter['warning'];
  readonly progress: PushReporter['progress'];
  readonly #toSend: Uint8Array[] = [];
  #differing = 0;
  #missing = 0;
  #extra = 0;

  constructor({ warning, progress }: Pick<PushReporter, 'warning' | 'progress'>) {
    this.warning = warning;
    this.progress = progress;
  }

  item({ change, path }: ItemLine): void {
    if (change.startsWith('*deleting')) {
      this.#extra += 1;
      return;
    }
    // The source folder itself is itemised, but not counted.
    if (pathKey(path) === './') return;
    if (change.endsWith(NEW_OBJECT)) this.#missing += 1;
    else this.#differing += 1;
    if (change.startsWith('<f')) this.#toSend.push(path);
  }

  /** @param source - absolute path of the source folder */
  async result({ filesTotal }: PushSummary, source: string): Promise<AdoptComparison> {
    const matching = Math.max(0, filesTotal - this.#differing - this.#missing);
    const tree = new LocalTree(source);
    let bytesToSend = 0;
    for (const path of this.#toSend) bytesToSend += await sizeOf(tree, path);
    return {
      filesTotal,
      matching,
      differing: this.#differing,
      missing: this.#missing,
      extra: this.#extra,
      filesToSend: this.#toSend.length,
      bytesToSend,
    };
  }
}

async function sizeOf(tree: LocalTree, path: Uint8Array): Promise<number> {
  const entry = await findObject(tree, path);
  return entry !== undefined && isRegularFile(entry) ? entry.size : 0;
}

/** Finds an object of a folder by its path. */
async function findObject(tree: LocalTree, path: Uint8Array): Promise<Entry | undefined> {
  let entry = await tree.root();
  if (pathKey(path) === '.') return entry;
  for (const name of pathKey(path).split('/')) {
    const next = await tree.child(entry, Buffer.from(name, 'latin1'));
    if (next === undefined) return undefined;
    entry = next;
  }
  return entry;
}

/** Names of the objects in a folder of the source. None if it does not exist. */
export async function namesIn(
  source: string,
  directory: Uint8Array,
): Promise<readonly Uint8Array[]> {
  const tree = new LocalTree(source);
  let entry = await tree.root();
  if (pathKey(directory) !== '.') {
    for (const name of pathKey(directory).split('/')) {
      const next = await tree.child(entry, Buffer.from(name, 'latin1'));
      if (next === undefined) return [];
      entry = next;
    }
  }
  const children = await tree.children(entry);
  return children.map(({ path }) => splitPath(path).name);
}
