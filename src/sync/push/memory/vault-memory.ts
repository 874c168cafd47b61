/** The files in which a vault stores the memory of its pushes, one set per destination. */
import type { Destination } from '../../../vault/destination/destination.ts';
import {
  isStateDamaged,
  readState,
  readStateDigest,
  stateKeys,
  stateKey,
  writeState,
} from '../../../vault/memory/state.ts';
import type { MoveStores } from './moves.ts';

/** Stores the memory of one destination, an encoded `PushState`. */
export interface StateStore {
  read(): Uint8Array | undefined;
  write(bytes: Uint8Array): void;
}

/** The memory of one destination. */
export interface PushMemory {
  readonly store: StateStore;
  /** Whether the rest is reliable: see `push-mark.ts`. */
  readonly mark: StateStore;
  readonly moves: MoveStores;
}

/**
 * The memory of a destination, for `push`, `plan` and `verify`.
 *
 * @param form - separates the memory of an encrypted copy from that of a mirror at the same place;
 *   default: `encrypted`
 */
export function pushMemory(
  { vaultDir }: { readonly vaultDir: string },
  { shown }: Pick<Destination, 'shown'>,
  form: 'encrypted' | 'mirror' = 'encrypted',
): PushMemory {
  const key = stateKey(form === 'mirror' ? `mirror ${shown}` : shown);
  const locations = `${key}-locations`;
  return {
    // Without the mark of an interrupted push, the next one would skip necessary checks.
    store: storeAt(vaultDir, key, true),
    mark: storeAt(vaultDir, `${key}-mark`),
    moves: {
      // Lost births cannot be found out again.
      births: {
        ...storeAt(vaultDir, 'births', true),
        isDamaged: () => isStateDamaged(vaultDir, 'births'),
        hasOthers: () => stateKeys(vaultDir).some((one) => isMark(one) && one !== `${key}-mark`),
        isFirst: () => !stateKeys(vaultDir).some(isMark),
      },
      locations: {
        ...storeAt(vaultDir, locations),
        digest: () => readStateDigest(vaultDir, locations),
      },
    },
  };
}

function isMark(key: string): boolean {
  return key.endsWith('-mark');
}

function storeAt(vaultDir: string, key: string, isDurable = false): StateStore {
  return {
    read: () => readState(vaultDir, key),
    write: (bytes) => writeState(vaultDir, key, bytes, isDurable),
  };
}
