/** One object of a copy, as it was before it was encrypted. */
import type { Draft, Entry } from '../tree/entry.ts';

/** One object of a copy as it was before it was stored. `C` is the copy's own kind of entry. */
export interface PlainEntry<C extends Entry = Entry> extends Entry {
  /**
   * The stored object, whose mode, times, owner and device numbers these are. Its `linkGroup` may
   * become known later: see `adoptHardLinks`.
   */
  readonly cipher: C;
}

/** What a stored object is in plaintext: everything that is not given is its own. */
export function plainEntry<C extends Entry>(
  cipher: C,
  { path, size, target }: Pick<Entry, 'path' | 'size' | 'target'>,
): PlainEntry<C> {
  const { mode, mtimeSec, mtimeNsec, uid, gid, rdev, isTimeUncertain } = cipher;
  const entry: Draft<PlainEntry<C>> = {
    path,
    mode,
    size,
    mtimeSec,
    mtimeNsec,
    uid,
    gid,
    cipher,
  };
  if (target !== undefined) entry.target = target;
  if (rdev !== undefined) entry.rdev = rdev;
  if (isTimeUncertain !== undefined) entry.isTimeUncertain = isTimeUncertain;
  return entry;
}
