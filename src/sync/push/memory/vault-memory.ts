/** Where a vault keeps what its pushes leave for the next one: a few files, one set per destination. */
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

/** Where the memory of one destination is kept; its content is `PushState`. */
export interface StateStore {
  read(): Uint8Array | undefined;
  write(bytes: Uint8Array): void;
}

/** The memory of one destination. */
export interface PushMemory {
  readonly store: StateStore;
  /** Whether the rest can be relied on: see `push-mark.ts`. */
  readonly mark: StateStore;
  readonly moves: MoveStores;
}

/**
 * The memory of a destination, as `push`, `plan` and `verify` take it.
 *
 * @param form - what is known of an encrypted copy is nothing that a mirror at the same place may
 *   rely on; default: `encrypted`
 */
export function pushMemory(
  { vaultDir }: { readonly vaultDir: string },
  { shown }: Pick<Destination, 'shown'>,
  form: 'encrypted' | 'mirror' = 'encrypted',
): PushMemory {
  const key = stateKey(form === 'mirror' ? `mirror ${shown}` : shown);
  const locations = `${key}-locations`;
  return {
    // Without the mark of a push that was cut off, the next one would take too much for granted.
    store: storeAt(vaultDir, key, true),
    mark: storeAt(vaultDir, `${key}-mark`),
    moves: {
      // What is lost of them is not found out again.
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
