/** Checks that a given master key opens a copy, before names are searched with a wrong one. */
import { PasswordError } from '../../errors.ts';
import type { Layout } from '../../gocryptfs/layout.ts';
import { DIR_IV_LENGTH } from '../../gocryptfs/format/limits.ts';
import type { Entry, Tree } from '../../tree/entry.ts';
import { hasNameShape, readSmallFile } from '../../view/decrypt/decrypted-view-listing.ts';
import { opens } from '../../view/decrypt/lost-dir-iv.ts';
import { splitPath } from '../../bytes/paths.ts';
import { DIR_IV_NAME_BYTES } from '../../gocryptfs/names/names.ts';

/**
 * Tries the key on the names in the root of a copy. A conf whose seal or password is right proves
 * its key, but nothing proves a master key that was given alone.
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
    if (bytes?.length !== DIR_IV_LENGTH) return; // reported where the IV is needed
    // The second IV is the one that ecsync derives, for a damaged diriv.
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
