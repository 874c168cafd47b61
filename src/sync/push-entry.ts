import type { LocalEntry } from '../tree/local-entry.ts';
import type { CipherEntry, EncryptedView } from '../view/encrypted-view.ts';

/** What a push sends: the encryption of an object of a local folder, or a virtual file. */
export type PushEntry = CipherEntry<LocalEntry>;
export type PushView = EncryptedView<LocalEntry>;
