/** Translates paths of one vault between plaintext and ciphertext, for `name`. */
import { IntegrityError, UsageError } from '../../errors.ts';
import { LocalTree } from '../../tree/local/local-tree.ts';
import type { LocalEntry } from '../../tree/local/local-entry.ts';
import type { CipherEntry } from '../../view/encrypt/cipher-entry.ts';
import { EncryptedView } from '../../view/encrypt/encrypted-view.ts';
import { serialiseConf, type Conf } from '../../gocryptfs/conf/config.ts';
import { viewOf } from '../../sync/push/opened-vault.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { LONG_NAME_PREFIX } from '../../gocryptfs/names/names.ts';
import { splitPath } from '../../bytes/paths.ts';
import { joinPath } from '../../bytes/paths.ts';

/** Translates paths of one vault in both directions. */
export interface Translator {
  /** @throws {UsageError} `path-invalid`, {@link FileError} `name-unsupported` */
  encode(plainPath: Uint8Array): Uint8Array;
  /** @throws {IntegrityError} `name-unknown`, {@link UsageError} `path-invalid` */
  decode(cipherPath: Uint8Array): Promise<Uint8Array>;
}

/** More than any system allows in one path. The translation descends one component at a time. */
const COMPONENTS_MAX = 1024;
const SLASH = 0x2f;

/**
 * Opens the translator of a vault. The master key is not kept.
 *
 * @throws {VaultError} `layout-unsupported`, and every code of `viewOf`
 */
export function openTranslator(
  vault: VaultFrame,
  { conf, masterkey }: { readonly conf: Conf; readonly masterkey: Buffer },
): Translator {
  const view = new EncryptedView<LocalEntry>(
    new LocalTree(vault.source, { vaultDirectory: vault.vaultDir }),
    // Only the flags of the conf matter here, since the file may be lost.
    { conf: { bytes: serialiseConf(conf), mtimeSec: 0 }, masterkey, ...viewOf(vault) },
  );
  masterkey.fill(0);
  return {
    encode: (plainPath) => view.cipherPath(normalise(plainPath)),
    decode: async (typed) => {
      const cipherPath = normalise(typed);
      const known = plainOf(view, cipherPath);
      if (known !== undefined) return known;
      // A hashed name can only be found in the vault's folder.
      if (cipherPath.includes(LONG_NAME_PREFIX)) {
        await learnNames(view, cipherPath);
        const learned = plainOf(view, cipherPath);
        if (learned !== undefined) return learned;
      }
      throw new IntegrityError('name-unknown', 'not a path that this vault made');
    },
  };
}

/** gocryptfs's own files keep their names. Only their folder's path is translated. */
function plainOf(view: EncryptedView<LocalEntry>, cipherPath: Buffer): Uint8Array | undefined {
  const plain = view.plainPath(cipherPath);
  if (plain?.virtual === undefined) return plain?.path;
  return joinPath(plain.path, splitPath(cipherPath).name);
}

/** Lists the folders along a path, so that the view learns every hashed name in it. */
async function learnNames(view: EncryptedView<LocalEntry>, cipherPath: Buffer): Promise<void> {
  let folder: CipherEntry<LocalEntry> = await view.root();
  for (let slash = 0; slash !== -1;) {
    const children = await view.children(folder);
    slash = cipherPath.indexOf(SLASH, slash + 1);
    if (slash === -1) return;
    const wanted = cipherPath.subarray(0, slash);
    const next = children.find((child) => wanted.equals(child.path) && child.plain !== undefined);
    if (next === undefined) return;
    folder = next;
  }
}

/** Removes empty components and `.`. An empty path is the vault's folder itself. */
function normalise(typed: Uint8Array): Buffer {
  if (typed[0] === SLASH) {
    throw new UsageError('path-invalid', "an absolute path outside the vault's folder", {
      hint: "Give the path from the vault's folder on.",
    });
  }
  const components = Buffer.from(typed)
    .toString('latin1')
    .split('/')
    .filter((component) => component !== '' && component !== '.');
  if (components.length > COMPONENTS_MAX || components.includes('..')) {
    throw new UsageError('path-invalid', 'a path that is too deep, or has `..` in it', {
      hint: "Give the path from the vault's folder on.",
    });
  }
  return Buffer.from(components.length === 0 ? '.' : components.join('/'), 'latin1');
}
