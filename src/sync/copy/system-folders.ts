/** Folders that a system keeps in a copy, and that a login may not read: nothing of the copy is in them. */
import { VanishedError, type EcsyncError } from '../../errors.ts';
import { DIR_IV_NAME } from '../../gocryptfs/names/names.ts';
import type { SenderRule } from '../../rsync/flist/filter-list.ts';
import { isDirectory, type Entry } from '../../tree/entry.ts';
import { isSystemName, SYSTEM_PATTERNS } from '../../tree/filter/system-names.ts';
import { pathKey } from '../../bytes/paths.ts';

/** One listing by a server. */
export interface CopyListing {
  readonly entries: readonly Entry[];
  /** Why the server could not read everything, if it could not. */
  readonly incomplete: EcsyncError | undefined;
}

const HIDDEN: readonly SenderRule[] = SYSTEM_PATTERNS.map((pattern) => ({
  action: 'hide',
  pattern: Buffer.from(pattern),
}));

/**
 * Lists a copy, and once more without what systems put there when the server could not read everything:
 * a `lost+found` belongs to root. If the second list is complete, nothing of the copy is missing.
 *
 * @param list - one run, with rules before all others
 * @returns the listing, and the rules that later runs need as well
 */
export async function listPassingSystemFolders<L extends CopyListing>(
  list: (rules: readonly SenderRule[]) => Promise<L>,
): Promise<{ readonly listing: L; readonly rules: readonly SenderRule[] }> {
  const listing = await list([]);
  if (!mayLackSystemFoldersOnly(listing)) return { listing, rules: [] };
  const without = await list(HIDDEN);
  return without.incomplete === undefined
    ? { listing: without, rules: HIDDEN }
    : { listing, rules: [] };
}

/** Where names are not encrypted, such a folder may be one of the source. */
function mayLackSystemFoldersOnly({ entries, incomplete }: CopyListing): boolean {
  if (incomplete === undefined || incomplete instanceof VanishedError) return false;
  const isEncrypted = entries.some(({ path }) => pathKey(path) === DIR_IV_NAME);
  return (
    isEncrypted && entries.some((entry) => isDirectory(entry) && isSystemName(entry.path, true))
  );
}
