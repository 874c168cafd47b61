/** What opens a copy: its key, and what the vault knows of it. */
import type { Conf } from '../../../gocryptfs/conf/config.ts';
import type { Derivation, Layout } from '../../../gocryptfs/layout.ts';
import type { KnownIdentities } from '../../../view/decrypt/identity-check.ts';
import type { LastPush } from './last-push.ts';

/** What opens a copy. */
export interface CopyKeys {
  readonly conf: Pick<Conf, 'flags' | 'longNameMax'>;
  /** 32 bytes; may still be on its way, while the login already begins. Not kept. */
  readonly masterkey: Uint8Array | Promise<Uint8Array>;
  /** Where identities come from; absent: the copy shows it. */
  readonly derivation?: Derivation;
  /** Nothing but ecsync has ever written to the copy: full blocks of zeros are damage. */
  readonly isOnlyEcsync: boolean;
  /** The master key was told, and no conf has shown yet that it is the right one. */
  readonly isUnproven?: boolean;
  /** What the vault knows of the copy's identities; absent: there is no vault. */
  readonly known?: KnownIdentities;
  /** What the last push left there, if that is known. */
  readonly lastPush?: (layout: Layout) => LastPush | undefined;
}

/**
 * Opens a copy by the conf that lies in it, if one does. Whoever holds the copy may have written that
 * conf: pass it through `assertNamesTold`, and the key through `unlockMasterkey`, which compares the seal.
 */
export type UnlockCopy = (confBytes: Uint8Array | undefined) => Promise<CopyKeys>;
