/** One object of a copy, decrypted. */
import type { Draft, Entry } from '../tree/entry.ts';

/** One object of a copy in plaintext. `C` is the copy's own kind of entry. */
export interface PlainEntry<C extends Entry = Entry> extends Entry {
  /**
   * The stored object, which gives this entry its mode, times, owner and device numbers. Its
   * `linkGroup` may be found later: see `adoptHardLinks`.
   */
  readonly cipher: C;
}

/** The plaintext entry of a stored object. Fields that are not given are taken from that object. */
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
