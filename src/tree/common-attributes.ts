/** Attributes that very many objects of one disk share. */
export interface CommonAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly dev: number;
  readonly nlink: number;
  /** See `LocalEntry`. */
  readonly isExposed: boolean;
  /** See `Entry`. */
  readonly isSparse: boolean;
}

/** More combinations than usual trees have. Clearing the cache leaves earlier objects unchanged. */
const CACHE_MAX = 4096;

const cache = new Map<string, CommonAttributes>();
let latest: CommonAttributes | undefined;

/** Returns one shared object for equal attributes. */
export function shareAttributes(attributes: CommonAttributes): CommonAttributes {
  if (latest !== undefined && areEqual(latest, attributes)) return latest;
  const { mode, uid, gid, dev, nlink, isExposed, isSparse } = attributes;
  const key = [mode, uid, gid, dev, nlink, isExposed, isSparse].join();
  latest = cache.get(key);
  if (latest !== undefined) return latest;
  if (cache.size >= CACHE_MAX) cache.clear();
  cache.set(key, attributes);
  return (latest = attributes);
}

function areEqual(a: CommonAttributes, b: CommonAttributes): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.dev === b.dev &&
    a.nlink === b.nlink &&
    a.isExposed === b.isExposed &&
    a.isSparse === b.isSparse
  );
}
