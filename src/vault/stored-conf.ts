/** Reads the conf of a vault from the disk, and checks it against the configuration. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { VaultError } from '../errors.ts';
import { errnoOf } from '../platform.ts';
import { reasonOf } from '../system-errors.ts';
import { CONF_LENGTH_MAX } from '../gocryptfs/format/limits.ts';
import { CONF_NAME } from '../gocryptfs/names/names.ts';
import type { VaultConfig } from './config/config.ts';
import { vaultFiles } from './files/vault-files.ts';

/** A conf as it is on the disk. */
export interface StoredConf {
  /** Byte for byte; its digest is the pinned one. */
  readonly bytes: Uint8Array;
  /** mtime: whole seconds, and nanoseconds after them. */
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  /** As in `stat`, including the type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const NSEC_PER_SEC = 1_000_000_000n;

/** SHA-256 in the form of the configuration: lower-case hex. */
export function confDigest(confBytes: Uint8Array): string {
  return createHash('sha256').update(confBytes).digest('hex');
}

/**
 * Reads a conf and its attributes.
 *
 * @returns undefined when the file is missing
 * @throws {VaultError} `vault-unreadable`
 */
export function readConfFile(file: string): StoredConf | undefined {
  let fd: number | undefined;
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    const stats = fs.fstatSync(fd, { bigint: true });
    if (!stats.isFile()) throw unreadable(file, 'it is not a file');
    if (stats.size > CONF_LENGTH_MAX) throw unreadable(file, 'it is too long');
    return {
      bytes: fs.readFileSync(fd),
      ...splitTime(stats.mtimeNs),
      mode: Number(stats.mode),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
    };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error instanceof VaultError ? error : unreadable(file, reasonOf(error), error);
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

function unreadable(file: string, reason: string, cause?: unknown): VaultError {
  return new VaultError('vault-unreadable', `cannot read ${file}: ${reason}`, {
    hint: 'It must be a gocryptfs.conf that you may read. Run ecsync as the user who made the vault.',
    cause,
  });
}

/** Nanoseconds count forward, even before 1970. */
function splitTime(mtimeNs: bigint): Pick<StoredConf, 'mtimeSec' | 'mtimeNsec'> {
  const nsec = ((mtimeNs % NSEC_PER_SEC) + NSEC_PER_SEC) % NSEC_PER_SEC;
  return {
    mtimeSec: Number((mtimeNs - nsec) / NSEC_PER_SEC),
    mtimeNsec: Number(nsec),
  };
}

/**
 * Reads the conf in an encrypted folder.
 *
 * @returns `unusable` for anything of that name but a regular file of reasonable size
 */
export function readConfOfFolder(folder: string): Uint8Array | 'absent' | 'unusable' {
  const file = path.join(folder, CONF_NAME);
  const stats = fs.lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return 'absent';
  return stats.isFile() && stats.size <= CONF_LENGTH_MAX ? fs.readFileSync(file) : 'unusable';
}

/** The parts of a vault that say which conf is its own. */
export interface ConfPlace {
  readonly vaultDir: string;
  readonly config: Pick<VaultConfig, 'conf_sha256'>;
  readonly confFile: string;
}

/**
 * Reads the conf that the configuration pins. After an interrupted change of the password, it is in
 * the file for the new conf.
 *
 * @returns undefined when it is missing; `changed` when another conf is in its place
 * @throws {VaultError} `vault-unreadable`
 */
export function readStoredConf(place: ConfPlace): StoredConf | 'changed' | undefined {
  const { vaultDir, config, confFile } = place;
  const isPinned = (stored: StoredConf | undefined): boolean =>
    stored !== undefined && confDigest(stored.bytes) === config.conf_sha256;
  const stored = readConfFile(confFile);
  if (isPinned(stored)) return stored;
  const staged = readConfFile(vaultFiles(vaultDir).newConf);
  if (isPinned(staged)) return staged;
  return stored === undefined ? undefined : 'changed';
}
