/** Whether a master key that somebody told opens a copy at all, before its names are looked for in vain. */
import { PasswordError } from '../../errors.ts';
import type { Layout } from '../../gocryptfs/layout.ts';
import { DIR_IV_LENGTH } from '../../gocryptfs/format/limits.ts';
import type { Entry, Tree } from '../../tree/entry.ts';
import { hasNameShape, readSmallFile } from '../../view/decrypt/decrypted-view-listing.ts';
import { opens } from '../../view/decrypt/lost-dir-iv.ts';
import { splitPath } from '../../bytes/paths.ts';
import { DIR_IV_NAME_BYTES } from '../../gocryptfs/names/names.ts';

/**
 * Looks at the names in the top folder of a copy. A conf that is sealed, or whose password is right, proves
 * its key; a key alone is proved by nothing.
 *
 * @throws {PasswordError} `wrong-masterkey` — there are names, and none of them can be decrypted
 */
export async function assertKeyFits<C extends Entry>(
  copy: Tree<C>,
  { names, identities }: Pick<Layout, 'names' | 'identities'>,
): Promise<void> {
  if (names.isPlain) return;
  const children = await copy.children(await copy.root());
  const nameOf = ({ path }: C): Uint8Array => splitPath(path).name;
  const dirIVs: Uint8Array[] = [Buffer.alloc(DIR_IV_LENGTH)];
  if (names.hasDirIVs) {
    const file = children.find((child) => Buffer.compare(DIR_IV_NAME_BYTES, nameOf(child)) === 0);
    const bytes = file && (await readSmallFile(copy, file, DIR_IV_LENGTH));
    if (bytes?.length !== DIR_IV_LENGTH) return; // told where it is missed
    // The second is what ecsync would have stored there, for a file that was damaged.
    dirIVs.splice(0, 1, bytes, identities.dirIV({ path: new Uint8Array(0), counter: 0 }));
  }
  const stored = children
    .map(nameOf)
    .filter((name) => names.kindOf(name) === 'direct' && hasNameShape(name));
  const isAnyReadable = stored.some((name) =>
    dirIVs.some((iv) => opens((dirIV) => names.decryptName(name, dirIV), iv)),
  );
  if (stored.length === 0 || isAnyReadable) return;
  throw new PasswordError(
    'wrong-masterkey',
    'this master key opens none of the names in the copy: the key or the layout may be the wrong one',
    {
      hint: 'Compare both with the recovery sheet: --layout, --deterministic-names and the like say the layout. A damaged gocryptfs.diriv in the top folder looks the same.',
    },
  );
}
