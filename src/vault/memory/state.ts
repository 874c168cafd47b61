/** The state files of a vault, one for each key. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { BugError, FileError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { replaceCacheFile, replaceFile } from '../files/atomic-write.ts';
import { readRegularFile, withRegularFile } from '../files/regular-file.ts';
import { makeFolderInVault } from '../files/vault-files.ts';

/*
 * A state file:
 *   1. magic     8 bytes  "ecsync" 0x00 0x01, the last one the version
 *   2. digest   32 bytes  SHA-256 of 3
 *   3. content  the rest
 */
const MAGIC = Buffer.from('ecsync\0\u0001', 'latin1');
const HEADER_LENGTH = MAGIC.length + 32;

function stateFile(vaultDir: string, key: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,79}$/.test(key)) {
    throw new BugError('invariant', `'${key}' is not a key for state`);
  }
  return path.join(vaultDir, 'index', key);
}

/** The key for the state of one destination: equal for equal canonical texts. */
export function stateKey(shownDestination: string): string {
  return createHash('sha256').update(shownDestination).digest('hex').slice(0, 32);
}

/**
 * Reads what {@link writeState} stored last. State is a cache: a file that is missing, cut off,
 * altered or of another version counts as absent.
 *
 * @param key - 1 to 80 of `a-z 0-9 -`
 * @throws {BugError} `invariant` — an impossible key
 */
export function readState(vaultDir: string, key: string): Uint8Array | undefined {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(stateFile(vaultDir, key));
  } catch (error) {
    if (error instanceof BugError) throw error;
    return undefined;
  }
  if (bytes.length < HEADER_LENGTH || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    return undefined;
  }
  const content = bytes.subarray(HEADER_LENGTH);
  const digest = createHash('sha256').update(content).digest();
  return digest.equals(bytes.subarray(MAGIC.length, HEADER_LENGTH)) ? content : undefined;
}

/** Whether an object has the name of a state, but is not what {@link writeState} stored. */
export function isStateDamaged(vaultDir: string, key: string): boolean {
  const exists = fs.lstatSync(stateFile(vaultDir, key), { throwIfNoEntry: false }) !== undefined;
  return exists && readState(vaultDir, key) === undefined;
}

/**
 * SHA-256 of what {@link writeState} stored last, without reading its content: if that was altered,
 * {@link readState} returns nothing anyway.
 *
 * @throws {BugError} `invariant` — an impossible key
 */
export function readStateDigest(vaultDir: string, key: string): Uint8Array | undefined {
  const file = stateFile(vaultDir, key);
  const header = Buffer.alloc(HEADER_LENGTH);
  try {
    const got = withRegularFile(file, (fd) => fs.readSync(fd, header));
    if (got < HEADER_LENGTH) return undefined;
  } catch {
    return undefined;
  }
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  return header.subarray(MAGIC.length);
}

/**
 * Replaces the state of a key in one step.
 *
 * @param isDurable - wait for the disk; otherwise a power failure may restore the old bytes, or
 *   leave damaged ones
 * @throws {FileError} `state-not-written`
 * @throws {BugError} `invariant` — an impossible key
 */
export function writeState(
  vaultDir: string,
  key: string,
  content: Uint8Array,
  isDurable = false,
): void {
  const file = stateFile(vaultDir, key);
  const digest = createHash('sha256').update(content).digest();
  try {
    makeFolderInVault(path.dirname(file));
    const replace = isDurable ? replaceFile : replaceCacheFile;
    replace(file, Buffer.concat([MAGIC, digest, content]), 0o600);
  } catch (error) {
    throw new FileError('state-not-written', `cannot write ${file}: ${reasonOf(error)}`, {
      hint: 'The copy is fine; the next run may take longer. Check the space on this disk, and that no folder has this name.',
      cause: error,
    });
  }
}

/** The keys of all state, intact or damaged; none where it cannot be listed. */
export function stateKeys(vaultDir: string): readonly string[] {
  try {
    return fs.readdirSync(path.dirname(stateFile(vaultDir, 'any')));
  } catch {
    return [];
  }
}

/**
 * Removes the state of a key. A missing file is fine, and so is a folder in its place: it is no
 * state.
 */
export function dropState(vaultDir: string, key: string): void {
  const file = stateFile(vaultDir, key);
  try {
    fs.rmSync(file, { force: true });
  } catch (error) {
    if (fs.lstatSync(file, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}
