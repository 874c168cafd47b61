/** What very many objects of one disk have in common. */
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

/** More combinations than usual trees have; those handed out before stay as they are. */
const KNOWN_MAX = 4096;

const known = new Map<string, CommonAttributes>();
let latest: CommonAttributes | undefined;

/** One object for all equal attributes. */
export function shareAttributes(attributes: CommonAttributes): CommonAttributes {
  if (latest !== undefined && areEqual(latest, attributes)) return latest;
  const { mode, uid, gid, dev, nlink, isExposed, isSparse } = attributes;
  const key = [mode, uid, gid, dev, nlink, isExposed, isSparse].join();
  latest = known.get(key);
  if (latest !== undefined) return latest;
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(key, attributes);
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
