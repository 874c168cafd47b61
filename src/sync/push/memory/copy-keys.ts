/** What opens a copy: its key, and what the vault knows about it. */
import type { Conf } from '../../../gocryptfs/conf/config.ts';
import type { Derivation, Layout } from '../../../gocryptfs/layout.ts';
import type { KnownIdentities } from '../../../view/decrypt/identity-check.ts';
import type { LastPush } from './last-push.ts';

/** What opens a copy. */
export interface CopyKeys {
  readonly conf: Pick<Conf, 'flags' | 'longNameMax'>;
  /**
   * 32 bytes. May be a promise, so that the login can begin before the key is derived. Not kept.
   */
  readonly masterkey: Uint8Array | Promise<Uint8Array>;
  /** Where identities come from. Absent: detected from the copy. */
  readonly derivation?: Derivation;
  /** Only ecsync has ever written to the copy, so full blocks of zeros are damage. */
  readonly isOnlyEcsync: boolean;
  /** The master key was given, and no conf has proved yet that it is right. */
  readonly isUnproven?: boolean;
  /** The identities of the copy that the vault knows. Absent: there is no vault. */
  readonly known?: KnownIdentities;
  /** What the last push left there, if it is known. */
  readonly lastPush?: (layout: Layout) => LastPush | undefined;
}

/**
 * Opens a copy by the conf in it, if there is one. Whoever holds the copy may have written that
 * conf: pass it through `assertNamesConfirmed`, and the key through `unlockMasterkey`, which compares
 * the seal.
 */
export type UnlockCopy = (confBytes: Uint8Array | undefined) => Promise<CopyKeys>;
