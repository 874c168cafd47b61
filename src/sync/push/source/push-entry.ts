/** The kinds of entry and of view that a push sends. */
import type { LocalEntry } from '../../../tree/local/local-entry.ts';
import type { CipherEntry } from '../../../view/encrypt/cipher-entry.ts';
import type { EncryptedView } from '../../../view/encrypt/encrypted-view.ts';
import type { MirrorView } from '../../../view/mirror/mirror-view.ts';

/** What a push sends: an object of a local folder, encrypted or as it is, or a virtual file. */
export type PushEntry = CipherEntry<LocalEntry>;
/** A local folder as a destination gets it. */
export type PushView = EncryptedView<LocalEntry> | MirrorView<LocalEntry>;
