/**
 * Passes over folders that a system keeps in a copy and a login may not read. They hold nothing of
 * the copy.
 */
import { VanishedError, type EcsyncError } from '../../errors.ts';
import { DIR_IV_NAME } from '../../gocryptfs/names/names.ts';
import type { SenderRule } from '../../rsync/flist/filter-list.ts';
import { isDirectory, type Entry } from '../../tree/entry.ts';
import { isSystemName, SYSTEM_PATTERNS } from '../../tree/filter/system-names.ts';
import { pathKey } from '../../bytes/paths.ts';

/** One listing by a server. */
export interface CopyListing {
  readonly entries: readonly Entry[];
  /** Why the listing is incomplete. Undefined if the server could read everything. */
  readonly incomplete: EcsyncError | undefined;
}

const HIDDEN: readonly SenderRule[] = SYSTEM_PATTERNS.map((pattern) => ({
  action: 'hide',
  pattern: Buffer.from(pattern),
}));

/**
 * Lists a copy. If the server could not read everything, lists it again without the folders that
 * systems create, such as a `lost+found` of root. If the second list is complete, nothing of the
 * copy is missing.
 *
 * @param list - one run, with these rules before all others
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

/** Where names are plaintext, such a folder may belong to the source. */
function mayLackSystemFoldersOnly({ entries, incomplete }: CopyListing): boolean {
  if (incomplete === undefined || incomplete instanceof VanishedError) return false;
  const isEncrypted = entries.some(({ path }) => pathKey(path) === DIR_IV_NAME);
  return (
    isEncrypted && entries.some((entry) => isDirectory(entry) && isSystemName(entry.path, true))
  );
}
