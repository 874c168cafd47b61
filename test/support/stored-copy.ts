import { serialiseConf } from '../../src/gocryptfs/conf/config.ts';
import type { FeatureFlag } from '../../src/gocryptfs/conf/feature-flags.ts';
import { isDirectory, isRegularFile } from '../../src/tree/entry.ts';
import { EncryptedView, type EncryptedViewOptions } from '../../src/view/encrypt/encrypted-view.ts';
import { allEntries, readAll } from './materialise.ts';
import { MemoryTree, type MemoryEntry } from './memory-tree.ts';

/** Something in a stored copy, found by what it is the encryption of. */
export interface StoredObject {
  /** Plaintext path; of a diriv, `.name` file or conf, the directory's or the object's and what it is. */
  readonly name: string;
  readonly path: Buffer;
  readonly facts: Partial<MemoryEntry>;
}

export const COPY_MASTERKEY = Buffer.alloc(32, 0x44);

/** A valid conf with these flags; its key is wrapped under no password. */
export function confBytesOf(flags: readonly FeatureFlag[], longNameMax = 255): Buffer {
  return serialiseConf({
    creator: 'test',
    encryptedKey: Buffer.alloc(flags.includes('HKDF') ? 64 : 60, 1),
    scrypt: { salt: Buffer.alloc(32, 2), logN: 10, r: 8, p: 1 },
    flags: new Set(flags),
    longNameMax,
  });
}

/** Everything that a push of a tree would store, as bytes. */
export async function storedObjects(
  plain: MemoryTree,
  flags: readonly FeatureFlag[],
  options: Pick<EncryptedViewOptions<MemoryEntry>, 'derivation' | 'inherited'> = {},
): Promise<StoredObject[]> {
  const bytes = confBytesOf(flags);
  const view = new EncryptedView(plain, {
    conf: { bytes, mtimeSec: 1 },
    masterkey: COPY_MASTERKEY,
    ...options,
  });
  const objects: StoredObject[] = [];
  for (const entry of (await allEntries(view)).slice(1)) {
    const { path, mode, size, target, virtual, linkGroup } = entry;
    const content = isRegularFile(entry) ? await readAll(view, entry) : undefined;
    const plainPath = Buffer.from(entry.plain?.path ?? view.plainPath(path)?.path ?? path).toString(
      'latin1',
    );
    objects.push({
      name: virtual === undefined ? plainPath : `${plainPath} ${virtual}`,
      path: Buffer.from(path),
      facts: {
        mode,
        size,
        ...(content === undefined ? {} : { content }),
        ...(target === undefined ? {} : { target: Buffer.from(target) }),
        ...(linkGroup === undefined ? {} : { linkGroup }),
      },
    });
  }
  return objects;
}

/** The objects as a tree; what was inside a directory that is not there any more is not reached. */
export function copyTree(objects: readonly StoredObject[]): MemoryTree {
  const tree = new MemoryTree();
  for (const { path, facts } of objects) {
    const size = facts.content?.length ?? facts.target?.length ?? 0;
    tree.add(path, { ...facts, size: isDirectory({ mode: facts.mode ?? 0 }) ? 0 : size });
  }
  return tree;
}
