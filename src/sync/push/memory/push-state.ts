/** What a vault remembers about one destination, and its codec. */
import { parseUnfinished, type UnfinishedMark } from './unfinished.ts';
import { KEY_BYTES } from '../source/structure-key.ts';

/**
 * What a vault remembers about one destination. It is a cache, and the server's answers take
 * precedence. Losing it costs one slower push and nothing else.
 */
export interface PushState {
  /** Which spelling of the temporary directory the server accepts; -1: none. */
  tempDirChoice: number;
  /** The server has refused `--fsync`. */
  refusesFsync?: boolean;
  /** A deletion was begun, and its second half (empty folders, their diriv) may be missing. */
  prunePending: boolean;
  /** An unfinished push may have left half-made or half-removed folders, without their diriv. */
  halfFolders?: boolean;
  /** An unfinished push may have left something in the temporary directory. */
  sweepPending?: boolean;
  /** A deleting push found no foreign objects at the destination. */
  foreignChecked: boolean;
  /** The last push did all due deletions under these terms (see `deletionTerms`). */
  deletedUnder?: string | undefined;
  /** The root's directory IV as it was pushed, hex. Absent if there is none, or it is not known. */
  rootIV?: string | undefined;
  /** Structural objects (folders with their diriv, `.name` files, the conf) known to be stored. */
  readonly known: Set<number>;
  /**
   * Mount points of the source at the last push, as Latin-1 keys of plaintext paths. Absent: none.
   */
  mounts?: readonly string[];
  /** Files that were written so recently that a later edit may keep size and second. */
  racy: RacyFile[];
  /** A push has begun to send content, and none has completed since. */
  unfinished?: UnfinishedMark | undefined;
  /** Where large files grow, as an unfinished push has left it. */
  large?: LargePlace | undefined;
  /** Which path from there to the copy the server accepts. */
  aboveChoice?: number;
  /** The root of the copy. Absent: not known. */
  root?: RootThere | undefined;
  /** By how many seconds stored times differ from sent ones. Absent: none, as far as is known. */
  modifyWindowSec?: number;
  /** Attributes that the destination does not keep as they were sent. Absent: none is known. */
  keepsNot?: KeepsNot;
}

/** Attributes that a destination changes when it stores an object. */
export interface KeepsNot {
  readonly perms?: true;
  readonly owner?: true;
  readonly group?: true;
}

/**
 * `made`: this vault's pushes have made it. Otherwise it existed before, and keeps its attributes.
 */
export type RootThere = 'made' | RootAttributes;

/** Attributes of a folder at a destination, with numeric owners. */
export interface RootAttributes {
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A folder in the temporary directory where large files grow before they get their names. */
export interface LargePlace {
  /** Makes its name unique to one series of pushes. */
  readonly token: string;
  /**
   * All of it was sent, and the copy may share its files, so they must not be written to any more.
   */
  readonly isLinking: boolean;
  /** Keys of files that were overwritten, so that their length says nothing. */
  readonly mixed: readonly number[];
}

/** A file whose next edit rsync's quick check (size and whole second) might not see. */
export interface RacyFile {
  /** Plaintext path, bytes as base64. */
  readonly path: string;
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeMs: number;
  /** Sent while it was changing, or changed within the clock's grain: always send it again. */
  readonly doubtful: boolean;
}

/**
 * Format: header length (uint32 LE) ‖ header (JSON) ‖ known keys, six bytes each, little-endian.
 */
const HEADER_LENGTH_BYTES = 4;

interface StateHeader {
  readonly v: 1;
  readonly tempDirChoice: number;
  readonly refusesFsync?: boolean;
  readonly prunePending: boolean;
  readonly halfFolders?: boolean;
  readonly sweepPending?: boolean;
  readonly foreignChecked: boolean;
  readonly deletedUnder?: string;
  readonly rootIV?: string;
  /** Paths, bytes as base64. */
  readonly mounts?: readonly string[];
  readonly racy: RacyFile[];
  readonly unfinished?: UnfinishedMark;
  readonly large?: LargePlace;
  readonly aboveChoice?: number;
  readonly root?: RootThere;
  readonly modifyWindowSec?: number;
  readonly keepsNot?: KeepsNot;
}

/** Whether a push has founded a copy. Before that, a state only says that a push has begun. */
export function isFounded(state: PushState | undefined): state is PushState {
  return state !== undefined && state.known.size > 0;
}

export function emptyState(): PushState {
  return {
    tempDirChoice: 0,
    prunePending: false,
    foreignChecked: false,
    known: new Set(),
    racy: [],
  };
}

/** Inverse of {@link decodeState}. */
export function encodeState(state: PushState): Uint8Array {
  const header: StateHeader = {
    v: 1,
    tempDirChoice: state.tempDirChoice,
    ...(state.refusesFsync === true && { refusesFsync: true }),
    prunePending: state.prunePending,
    ...(state.halfFolders === true && { halfFolders: true }),
    ...(state.sweepPending === true && { sweepPending: true }),
    foreignChecked: state.foreignChecked,
    ...(state.deletedUnder === undefined ? {} : { deletedUnder: state.deletedUnder }),
    ...(state.rootIV === undefined ? {} : { rootIV: state.rootIV }),
    ...(state.mounts !== undefined && {
      mounts: state.mounts.map((key) => Buffer.from(key, 'latin1').toString('base64')),
    }),
    racy: state.racy,
    ...(state.unfinished && { unfinished: state.unfinished }),
    ...(state.large && { large: state.large }),
    ...(state.aboveChoice !== undefined && { aboveChoice: state.aboveChoice }),
    ...(state.root !== undefined && { root: state.root }),
    ...(state.modifyWindowSec !== undefined && { modifyWindowSec: state.modifyWindowSec }),
    ...(state.keepsNot !== undefined && { keepsNot: state.keepsNot }),
  };
  const json = Buffer.from(JSON.stringify(header));
  const bytes = Buffer.alloc(HEADER_LENGTH_BYTES + json.length + state.known.size * KEY_BYTES);
  bytes.writeUInt32LE(json.length, 0);
  json.copy(bytes, HEADER_LENGTH_BYTES);
  let at = HEADER_LENGTH_BYTES + json.length;
  for (const key of state.known) at = bytes.writeUIntLE(key, at, KEY_BYTES);
  return bytes;
}

function isHeader(value: unknown): value is StateHeader {
  if (typeof value !== 'object' || value === null) return false;
  const { v, tempDirChoice, prunePending, foreignChecked, racy } = value as Partial<StateHeader>;
  return (
    v === 1 &&
    typeof tempDirChoice === 'number' &&
    typeof prunePending === 'boolean' &&
    typeof foreignChecked === 'boolean' &&
    Array.isArray(racy)
  );
}

/** @returns undefined for anything that is not a complete state of this version */
export function decodeState(bytes: Uint8Array | undefined): PushState | undefined {
  if (bytes === undefined || bytes.length < HEADER_LENGTH_BYTES) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keysAt = HEADER_LENGTH_BYTES + buffer.readUInt32LE(0);
  if (keysAt > buffer.length || (buffer.length - keysAt) % KEY_BYTES !== 0) return undefined;
  let header: unknown;
  try {
    header = JSON.parse(buffer.toString('utf8', HEADER_LENGTH_BYTES, keysAt));
  } catch {
    return undefined; // damaged: treated like a missing one
  }
  if (!isHeader(header)) return undefined;
  const known = new Set<number>();
  for (let at = keysAt; at < buffer.length; at += KEY_BYTES) {
    known.add(buffer.readUIntLE(at, KEY_BYTES));
  }
  const { tempDirChoice, prunePending, foreignChecked, deletedUnder, rootIV, mounts, racy } =
    header;
  const unfinished = parseUnfinished(header.unfinished);
  const large = parseLarge(header.large);
  const { aboveChoice, modifyWindowSec } = header;
  const keepsNot = parseKeepsNot(header.keepsNot);
  const root = parseRoot(header.root);
  return {
    tempDirChoice,
    ...(header.refusesFsync === true && { refusesFsync: true }),
    prunePending,
    ...(header.halfFolders === true && { halfFolders: true }),
    ...(header.sweepPending === true && { sweepPending: true }),
    foreignChecked,
    ...(typeof deletedUnder === 'string' ? { deletedUnder } : {}),
    ...(typeof rootIV === 'string' ? { rootIV } : {}),
    ...(Array.isArray(mounts) && { mounts: decodeMounts(mounts) }),
    known,
    racy,
    ...(unfinished && { unfinished }),
    ...(large && { large }),
    ...(typeof aboveChoice === 'number' && { aboveChoice }),
    ...(root !== undefined && { root }),
    ...(isWindow(modifyWindowSec) && { modifyWindowSec }),
    ...(keepsNot !== undefined && { keepsNot }),
  };
}

/** @returns undefined for anything else: then the next push finds out again */
function parseKeepsNot(value: unknown): KeepsNot | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { perms, owner, group } = value as Partial<Record<keyof KeepsNot, unknown>>;
  return {
    ...(perms === true && { perms }),
    ...(owner === true && { owner }),
    ...(group === true && { group }),
  };
}

function isWindow(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

/** @returns undefined for anything else: then the root is read again */
function parseRoot(value: unknown): RootThere | undefined {
  if (value === 'made') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const { mode, uid, gid } = value as Partial<RootAttributes>;
  const isNumber = (one: unknown): one is number => Number.isSafeInteger(one);
  return isNumber(mode) && isNumber(uid) && isNumber(gid) ? { mode, uid, gid } : undefined;
}

/** @returns undefined for anything else: then existing partial files are not used any more */
function parseLarge(value: unknown): LargePlace | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { token, isLinking, mixed } = value as Partial<LargePlace>;
  const isToken = typeof token === 'string' && /^[0-9a-f]+$/.test(token);
  if (!isToken || typeof isLinking !== 'boolean' || !Array.isArray(mixed)) return undefined;
  return { token, isLinking, mixed: mixed.filter((key) => typeof key === 'number') };
}

function decodeMounts(mounts: readonly unknown[]): string[] {
  const texts = mounts.filter((mount) => typeof mount === 'string');
  return texts.map((text) => Buffer.from(text, 'base64').toString('latin1'));
}
