/**
 * Finds out who may change a file of this machine: its owner, root, and whoever its mode allows.
 */
import fs from 'node:fs';
import { isTrustedOwner, isWindows } from '../../platform.ts';

/** Owner and mode of a file, from its stats. */
export type OwnedStats = Pick<fs.Stats, 'uid' | 'gid' | 'mode'>;

const GROUP_WRITE = 0o020;
const GROUP_READ = 0o040;
const OTHERS_WRITE = 0o002;
const OTHERS_READ = 0o004;
const PERMISSION_BITS = 0o7777;

/**
 * Why a file could have been written by someone who is neither this process's user nor root. The
 * rule is OpenSSH's for its own files, as Debian and Fedora ship it: a group may write if it is the
 * owner's private group. On Windows Node does not know owners, so every file passes.
 *
 * @returns the end of a sentence about the file; undefined when nobody else could have written it
 * @see OpenSSH misc.c safe_path(), Debian's user-group-modes.patch
 */
export function foreignWriters(stats: OwnedStats): string | undefined {
  if (isWindows) return undefined;
  const { uid, mode } = stats;
  if (!isTrustedOwner(uid)) return `belongs to another user (uid ${uid})`;
  const shownMode = (mode & PERMISSION_BITS).toString(8).padStart(4, '0');
  if ((mode & OTHERS_WRITE) !== 0) return `can be written by every user (mode ${shownMode})`;
  if ((mode & GROUP_WRITE) !== 0 && !isPrivateGroup(stats)) {
    return `can be written by a group (mode ${shownMode})`;
  }
  return undefined;
}

/** Who else may read or write a file with a secret; only the worst problem. */
export interface SecretExposure {
  readonly code: 'passfile-unsafe' | 'passfile-foreign' | 'passfile-writable' | 'passfile-readable';
  /** The end of a sentence about the file. */
  readonly why: string;
}

/**
 * Who else can read or set a secret in a file. Root and the owner's private group may, so that
 * credentials from systemd pass. Only `passfile-unsafe` justifies a refusal: everyone could have
 * set the secret.
 */
export function secretExposure(stats: OwnedStats): SecretExposure | undefined {
  if (isWindows) return undefined;
  const { uid, gid, mode } = stats;
  const may = (bit: number): boolean => (mode & bit) !== 0;
  if (may(OTHERS_WRITE)) {
    return { code: 'passfile-unsafe', why: 'can be written by every user of this machine' };
  }
  if (!isTrustedOwner(uid)) {
    return { code: 'passfile-foreign', why: `belongs to another user (uid ${uid})` };
  }
  if (may(OTHERS_READ)) {
    return { code: 'passfile-readable', why: 'can be read by every user of this machine' };
  }
  const mayGroup = may(GROUP_READ | GROUP_WRITE) && gid !== 0 && !isPrivateGroup(stats);
  if (!mayGroup) return undefined;
  return may(GROUP_WRITE)
    ? { code: 'passfile-writable', why: `can be written by a group (gid ${gid})` }
    : { code: 'passfile-readable', why: `can be read by a group (gid ${gid})` };
}

/**
 * Whether the owner is the only member of a group. If the local files do not list it, the answer is
 * no.
 */
function isPrivateGroup({ uid, gid }: OwnedStats): boolean {
  const accounts = recordsOf('/etc/passwd').filter((fields) => fields.length >= 4);
  const owner = accounts.find((fields) => fields[2] === `${uid}`)?.[0];
  const group = recordsOf('/etc/group').find((fields) => fields[2] === `${gid}`);
  if (owner === undefined || group === undefined) return false;
  const members = new Set(group[3]?.split(',').filter((name) => name !== ''));
  for (const [name, , , primary] of accounts) {
    if (primary === `${gid}` && name !== undefined) members.add(name);
  }
  return members.size === 1 && members.has(owner);
}

/** The lines of a file such as `/etc/passwd`, split at their colons. */
function recordsOf(file: string): string[][] {
  try {
    return fs
      .readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch {
    return []; // a system without this file
  }
}
