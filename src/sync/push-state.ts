import { createHash } from 'node:crypto';

/**
 * What a vault remembers about one destination: a cache, never trusted over what the server says.
 * Losing it costs one careful first push and nothing else.
 */
export interface PushState {
  /** Which spelling of the temporary directory the server accepts; -1: none. */
  tempDirChoice: number;
  /** A deletion was begun and its second half (empty folders, their diriv) may be missing. */
  prunePending: boolean;
  /** A deleting push found nothing at the destination that this vault did not write. */
  foreignChecked: boolean;
  /** The last push deleted all that was due, under these terms (see `deletionTerms`). */
  deletedUnder?: string | undefined;
  /** Structural objects (folders with their diriv, `.name` files, the conf) known to be stored. */
  readonly known: Set<number>;
  /** Files written so recently that a later edit could hide behind an equal size and second. */
  racy: RacyFile[];
}

/** A file whose next edit rsync's quick check (size and whole second) might not see. */
export interface RacyFile {
  /** Plaintext path, bytes as base64. */
  readonly path: string;
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeMs: number;
  /** Sent while it was changing, or changed within the clock's grain: send it again in any case. */
  readonly doubtful: boolean;
}

const KEY_BYTES = 6;
/** Layout: header length (uint32 LE) ‖ header (JSON) ‖ known keys, six bytes each, little-endian. */
const HEADER_LENGTH_BYTES = 4;

interface StateHeader {
  readonly v: 1;
  readonly tempDirChoice: number;
  readonly prunePending: boolean;
  readonly foreignChecked: boolean;
  readonly deletedUnder?: string;
  readonly racy: RacyFile[];
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

/**
 * Key of one structural object: the first 48 bits of SHA-256 over its cipher path and a version.
 * Two objects sharing a key (about 1 in 50,000 for 100,000 objects) would only mean that one of
 * them is created without the staging step.
 *
 * @param version - bytes that make a changed object (a new conf) a new key; usually empty
 */
export function structureKey(
  cipherPath: Uint8Array,
  version: Uint8Array = new Uint8Array(),
): number {
  const digest = createHash('sha256').update(cipherPath).update('\0').update(version).digest();
  return digest.readUIntLE(0, KEY_BYTES);
}

/** Inverse of {@link decodeState}. */
export function encodeState(state: PushState): Uint8Array {
  const header: StateHeader = {
    v: 1,
    tempDirChoice: state.tempDirChoice,
    prunePending: state.prunePending,
    foreignChecked: state.foreignChecked,
    ...(state.deletedUnder === undefined ? {} : { deletedUnder: state.deletedUnder }),
    racy: state.racy,
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

/** @returns undefined for anything that is not a whole state of this version: then start afresh */
export function decodeState(bytes: Uint8Array | undefined): PushState | undefined {
  if (bytes === undefined || bytes.length < HEADER_LENGTH_BYTES) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keysAt = HEADER_LENGTH_BYTES + buffer.readUInt32LE(0);
  if (keysAt > buffer.length || (buffer.length - keysAt) % KEY_BYTES !== 0) return undefined;
  let header: unknown;
  try {
    header = JSON.parse(buffer.toString('utf8', HEADER_LENGTH_BYTES, keysAt));
  } catch {
    return undefined; // damaged: the same as never written
  }
  if (!isHeader(header)) return undefined;
  const known = new Set<number>();
  for (let at = keysAt; at < buffer.length; at += KEY_BYTES) {
    known.add(buffer.readUIntLE(at, KEY_BYTES));
  }
  const { tempDirChoice, prunePending, foreignChecked, deletedUnder, racy } = header;
  const isTold = typeof deletedUnder === 'string';
  return {
    tempDirChoice,
    prunePending,
    foreignChecked,
    ...(isTold ? { deletedUnder } : {}),
    known,
    racy,
  };
}
