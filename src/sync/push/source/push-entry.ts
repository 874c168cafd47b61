/** The entry and view types of a push. */
import type { LocalEntry } from '../../../tree/local/local-entry.ts';
import type { CipherEntry } from '../../../view/encrypt/cipher-entry.ts';
import type { EncryptedView } from '../../../view/encrypt/encrypted-view.ts';
import type { MirrorView } from '../../../view/mirror/mirror-view.ts';

/**
 * An entry that a push sends: an object of a local folder, encrypted or plain, or a virtual file.
 */
export type PushEntry = CipherEntry<LocalEntry>;
/** A local folder as the destination stores it. */
export type PushView = EncryptedView<LocalEntry> | MirrorView<LocalEntry>;
