/** Who may change a file of this machine: its owner, root, and whomever its mode lets write. */
import fs from 'node:fs';
import { isTrustedOwner, isWindows } from '../../platform.ts';

/** What the system says about the owner and the mode of a file. */
export type OwnedStats = Pick<fs.Stats, 'uid' | 'gid' | 'mode'>;

const GROUP_WRITE = 0o020;
const GROUP_READ = 0o040;
const OTHERS_WRITE = 0o002;
const OTHERS_READ = 0o004;
const PERMISSION_BITS = 0o7777;

/**
 * Why a file could have been written by somebody who is neither the user of this process nor root.
 * The rule is that of OpenSSH for its own files as Debian and Fedora ship it: a group may write when
 * it is the private group of the owner. Windows has no owner that Node could tell, so everything
 * passes there.
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

/** What is wrong with who else may read or write a file with a secret: one of them, the worst. */
export interface SecretExposure {
  readonly code: 'passfile-unsafe' | 'passfile-foreign' | 'passfile-writable' | 'passfile-readable';
  /** The end of a sentence about the file. */
  readonly why: string;
}

/**
 * Who else knows, or sets, what is in a file with a secret. Root and the private group of the owner may, so
 * that the credentials that systemd hands out pass. `passfile-unsafe` alone is worth a refusal: everybody
 * could have set the secret.
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

/** Whether a group has one member, the owner. What the local files do not tell counts as no. */
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
