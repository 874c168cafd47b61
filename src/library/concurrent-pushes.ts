/** Reports pushes that ran while a copy was read, since reading needs no lock. */
import { pushMemory } from '../sync/push/memory/vault-memory.ts';
import type { Destination } from '../vault/destination/destination.ts';
import { lockHolder } from '../vault/lock/lock.ts';
import type { VaultFrame } from '../vault/vault.ts';
import { vaultFiles } from '../vault/files/vault-files.ts';
import { isMirror } from '../vault/destination/remote-destination.ts';
import type { Caller } from './caller.ts';

/**
 * Runs work that only reads a copy, and warns if this vault was pushing to it at the same time.
 *
 * @param copy.vault - undefined: pushes are not known
 */
export async function besidePushes<T>(
  caller: Caller,
  copy: { readonly vault: VaultFrame | undefined; readonly destination: Destination },
  read: () => Promise<T>,
): Promise<T> {
  const { vault, destination } = copy;
  if (vault === undefined) return read();
  const { shown } = destination;
  const form = isMirror(caller, vault, shown) ? 'mirror' : 'encrypted';
  const { mark } = pushMemory(vault, destination, form);
  const before = mark.read();
  const holder = lockHolder(vaultFiles(vault.vaultDir).lock);
  const isUnderWay = holder?.isGone === false && holder.task?.destination === shown;
  const tell = (): void => {
    const message = `a push to ${shown} was under way: what it changed meanwhile may be missing, or count as a difference`;
    caller.warn('push-under-way', message);
  };
  if (isUnderWay) tell();
  try {
    return await read();
  } finally {
    const after = mark.read();
    const isSame = Buffer.compare(before ?? Buffer.alloc(0), after ?? Buffer.alloc(0)) === 0;
    if (!isUnderWay && !isSame) tell();
  }
}
