/** Recognises the root of an encrypted copy, and describes a folder that is none. */
import { VaultError } from '../../errors.ts';
import { CONF_NAME, type NameScheme } from '../../gocryptfs/names/names.ts';
import type { Entry, Tree } from '../../tree/entry.ts';
import { hasNameShape } from '../../view/decrypt/decrypted-view-listing.ts';
import { MIRROR_MARKER_NAME } from '../../view/mirror/mirror-view.ts';
import { pathKey } from '../../bytes/paths.ts';

/** The error for a copy that has no conf although it is needed. */
export function confMissing(shownCopy: string, hint: string): VaultError {
  return new VaultError('conf-missing', `${shownCopy} has no ${CONF_NAME}`, { hint });
}

/** The error for a plain mirror where an encrypted copy is expected. */
export function mirrorError(shownCopy: string): VaultError {
  return new VaultError(
    'not-encrypted',
    `${shownCopy} is a plain mirror: nothing in it is encrypted`,
    {
      hint: `Copy it back with any tool, such as rsync -a --exclude=/${MIRROR_MARKER_NAME} MIRROR/ TARGET/. Where it is a remote of the vault: ecsync restore --from REMOTE --to TARGET`,
    },
  );
}

/**
 * Refuses a plain mirror, for a copy that has no conf.
 *
 * @throws {VaultError} `not-encrypted`
 */
export async function refuseMirror<C extends Entry>(
  copy: Tree<C>,
  shownCopy: string,
): Promise<void> {
  if (await isInRoot(copy, MIRROR_MARKER_NAME)) throw mirrorError(shownCopy);
}

/**
 * Makes sure that a folder is an encrypted copy, or the damaged rest of one. Otherwise every name
 * in it would be reported as damage. With plaintext names only the conf can show it.
 *
 * @throws {VaultError} `not-encrypted`, `not-a-copy`
 */
export async function assertHoldsCopy<C extends Entry>(
  copy: Tree<C>,
  names: NameScheme,
  shownCopy: string,
): Promise<void> {
  if (names.isPlain || (await isInRoot(copy, CONF_NAME))) return;
  const children = await copy.children(await copy.root());
  const isOfCopy = ({ path }: C): boolean => names.kindOf(path) !== 'direct' || hasNameShape(path);
  if (children.some(isOfCopy)) return;
  await refuseMirror(copy, shownCopy);
  const what = children.length === 0 ? 'is empty' : 'is no encrypted copy';
  throw new VaultError('not-a-copy', `${shownCopy} ${what}: there is nothing to decrypt in it`, {
    hint: 'Is it the right folder, and is its disk mounted? Files that are not encrypted can be copied back by any tool.',
  });
}

async function isInRoot<C extends Entry>(copy: Tree<C>, name: string): Promise<boolean> {
  const root = await copy.root();
  if (copy.child !== undefined) return (await copy.child(root, Buffer.from(name))) !== undefined;
  return (await copy.children(root)).some(({ path }) => pathKey(path) === name);
}
