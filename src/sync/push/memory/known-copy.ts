/** What a vault knows about its own copy, for checking it. */
import type { Layout } from '../../../gocryptfs/layout.ts';
import { Births } from './birth-lookup.ts';
import { decodeBirths } from './births.ts';
import { LastPush } from './last-push.ts';
import { decodeMark, type PushMark } from './push-mark.ts';
import { decodeState } from './push-state.ts';
import { pushMemory, type PushMemory } from './vault-memory.ts';
import { readAdopted, type AdoptedPlace } from '../../../vault/adopted.ts';
import type { Destination } from '../../../vault/destination/destination.ts';
import type { KnownIdentities } from '../../../view/decrypt/identity-check.ts';
import { InheritedIndex } from '../../../view/inherited.ts';
import { PathTranslation } from '../../../view/path-translation.ts';

/** What is known before the key is. */
export interface KnownCopy {
  readonly identities: KnownIdentities;
  /** As far as the vault knows, only this vault has ever written to the copy. */
  readonly isOnlyEcsync: boolean;
  /**
   * What the last push left there. Undefined if that is uncertain, because the push was cut off,
   * failed in part, was of a part, or went to another destination.
   *
   * @param layout - opens the copy
   */
  readonly lastPush: (layout: Layout) => LastPush | undefined;
  /** Why there is no {@link lastPush}, as part of a sentence. Undefined if there is one. */
  readonly pushUnknown: string | undefined;
}

/** @throws {VaultError} `vault-unreadable`, `adopted-missing`, `adopted-changed`, `adopted-invalid` */
export function knownCopy(vault: AdoptedPlace, destination: Pick<Destination, 'shown'>): KnownCopy {
  const memory = pushMemory(vault, destination);
  const mark = decodeMark(memory.mark.read());
  const stored = memory.moves.births.read();
  const births = new Births(decodeBirths(stored));
  const adopted = readAdopted(vault);
  const inherited = adopted === undefined ? undefined : InheritedIndex.decode(adopted);
  const isForgotten = mark?.hasBirths === true && stored === undefined;
  const identities: KnownIdentities = {
    birthOf: (plainPath) => births.of(plainPath),
    ...(inherited !== undefined && { inherited }),
  };
  const pushUnknown = whyUnknown(memory, mark);
  return {
    identities,
    isOnlyEcsync: inherited === undefined,
    pushUnknown,
    lastPush: (layout) => {
      const remembered = memory.moves.locations.read();
      if (pushUnknown !== undefined || mark === undefined || remembered === undefined) {
        return undefined;
      }
      const places = new PathTranslation(layout, identities);
      const filesAreExact = mark.filesAreExact && !isForgotten;
      const cipherPathOf = (plainPath: Uint8Array): Uint8Array => places.cipherPath(plainPath);
      return new LastPush(remembered, { ...mark, filesAreExact }, cipherPathOf);
    },
  };
}

function whyUnknown({ store, moves }: PushMemory, mark: PushMark | undefined): string | undefined {
  if (mark === undefined) return 'no push from here is remembered';
  // Unlike the mark, this was written to the disk before the destination was changed.
  if (decodeState(store.read())?.unfinished !== undefined) return 'the last push was cut off';
  if (mark.locations === undefined) {
    return 'the last push from here did not end well, or was of a part';
  }
  const digest = moves.locations.digest?.();
  const isWhole = digest !== undefined && Buffer.from(digest).toString('hex') === mark.locations;
  return isWhole ? undefined : 'what was remembered of the last push is damaged';
}
