import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { FileError, LockedError } from '../errors.ts';
import { insist } from '../platform.ts';

/** A held lock. */
export interface Lock {
  /** Gives the lock back; idempotent, synchronous, never throws. Also runs when the process ends. */
  release(): void;
}

/** Who holds a lock, as the lock file says in one line of JSON. */
interface Holder {
  /** Differs for every acquisition, so that successors cannot be confused. */
  readonly id: string;
  readonly pid: number;
  readonly host: string;
  /** Boot of the machine and process-id space, where the platform tells; pids mean nothing beyond. */
  readonly pidSpace: string;
  /** Start of the process in the kernel's own units, so that a reused pid is not taken for it. */
  readonly started: string;
  /** ISO 8601, for people. */
  readonly since: string;
  /** Seconds that the machine had been running then: with fewer it was started anew since. */
  readonly uptimeSec: number;
}

const SUCCESSIONS_MAX = 64;

/**
 * Takes an exclusive lock. A lock whose process is gone (same machine, same boot) is taken over;
 * any other is respected.
 *
 * Taking over is a succession: the file `LOCK.after-ID` can be created once for every dead holder
 * ID, and only who created it may replace the lock. Two processes that both see a dead holder can
 * therefore never both win.
 *
 * @param file - absolute path of the lock file; its folder exists
 * @throws {LockedError} `locked`
 * @throws {FileError} `lock-failed` — the folder cannot be written
 */
export function acquireLock(file: string): Lock {
  const own = describeOwn();
  try {
    takeLock(file, own);
  } catch (error) {
    if (error instanceof LockedError) throw error;
    throw new FileError('lock-failed', `cannot create the lock ${file}: ${reasonOf(error)}`, {
      hint: 'Check that the folder can be written to.',
      cause: error,
    });
  }
  const release = (): void => {
    process.removeListener('exit', release);
    try {
      if (readHolder(file)?.id === own.id) fs.rmSync(file, { force: true });
    } catch {
      // The lock stays and is found stale by the next run.
    }
  };
  process.once('exit', release);
  return { release };
}

function takeLock(file: string, own: Holder): void {
  for (let attempt = 0; attempt < SUCCESSIONS_MAX; attempt++) {
    if (createExclusively(file, own)) return;
    const named = readHolder(file);
    if (named === undefined) continue;
    const chain = [named];
    for (let heir = heirOf(file, named); heir !== undefined; heir = heirOf(file, heir)) {
      chain.push(heir);
    }
    const holder = chain.at(-1) ?? named;
    if (isAlive(holder)) throw lockedBy(file, holder);
    const succession = successionFile(file, holder);
    if (!createExclusively(succession, own)) continue;
    // Somebody may have finished a succession since `named` was read: then ours is void.
    if (readHolder(file)?.id !== named.id) {
      fs.rmSync(succession, { force: true });
      continue;
    }
    replaceLock(file, own);
    for (const gone of chain) fs.rmSync(successionFile(file, gone), { force: true });
    return;
  }
  throw new LockedError('locked', `the lock ${file} keeps changing hands`, {
    hint: 'Try again in a moment.',
  });
}

/** Who holds a lock, as far as it can be told from here. */
export interface LockHolder {
  /** 0: the lock file is unreadable. */
  readonly pid: number;
  readonly host: string;
  /** ISO 8601; empty when unknown. */
  readonly since: string;
  /** Certainly gone: its process ended, or the machine was started anew. */
  readonly isGone: boolean;
  /** On another machine, whose processes cannot be seen from here. */
  readonly isElsewhere: boolean;
}

/**
 * Looks at a lock without taking it.
 *
 * @param file - as for {@link acquireLock}
 * @returns undefined when nobody holds it
 */
export function lockHolder(file: string): LockHolder | undefined {
  let holder: Holder | undefined;
  for (let next = readHolder(file); next !== undefined; next = heirOf(file, next)) {
    if (next.id === holder?.id) break;
    holder = next;
  }
  if (holder === undefined) return undefined;
  const { pid, host, since } = holder;
  const isElsewhere = pid !== 0 && host !== os.hostname();
  return { pid, host, since, isGone: !isAlive(holder), isElsewhere };
}

/**
 * Removes a lock, whoever holds it. Only for one whose holder is known to be gone.
 *
 * @param file - as for {@link acquireLock}
 * @throws {FileError} `lock-failed`
 */
export function removeLock(file: string): void {
  try {
    const chain: string[] = [file];
    for (let next = readHolder(file); next !== undefined; next = heirOf(file, next)) {
      if (chain.length > SUCCESSIONS_MAX) break;
      chain.push(successionFile(file, next));
    }
    for (const one of chain) fs.rmSync(one, { force: true });
  } catch (error) {
    throw new FileError('lock-failed', `cannot remove the lock ${file}: ${reasonOf(error)}`, {
      hint: 'Check that the folder can be written to.',
      cause: error,
    });
  }
}

function successionFile(file: string, holder: Holder): string {
  return `${file}.after-${holder.id}`;
}

function heirOf(file: string, holder: Holder): Holder | undefined {
  return readHolder(successionFile(file, holder));
}

function replaceLock(file: string, own: Holder): void {
  const temporary = `${file}.${own.id}.tmp`;
  fs.writeFileSync(temporary, encodeHolder(own), { mode: 0o600, flag: 'wx' });
  insist(() => fs.renameSync(temporary, file));
}

/** @returns false when the file exists already */
function createExclusively(file: string, own: Holder): boolean {
  const temporary = `${file}.${own.id}.tmp`;
  fs.writeFileSync(temporary, encodeHolder(own), { mode: 0o600, flag: 'wx' });
  try {
    // A hard link appears with its whole content at once; a created file would be empty first.
    fs.linkSync(temporary, file);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return false;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EMLINK'].includes(code)) {
      throw error;
    }
    return createWithoutLinks(file, own);
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

/** For file systems without hard links (FAT, exFAT). */
function createWithoutLinks(file: string, own: Holder): boolean {
  try {
    fs.writeFileSync(file, encodeHolder(own), { mode: 0o600, flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function encodeHolder(holder: Holder): string {
  return `${JSON.stringify(holder)}\n`;
}

/**
 * @returns undefined when there is no such file; a text that stays unreadable counts as a holder
 *   that is gone
 */
function readHolder(file: string): Holder | undefined {
  const text = readText(file);
  if (text === undefined) return undefined;
  const holder = parseHolder(text);
  if (holder.pid !== 0) return holder;
  // Without hard links a lock is empty for an instant while it is being written.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  const later = readText(file);
  return later === undefined ? undefined : parseHolder(later);
}

function readText(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function parseHolder(text: string): Holder {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined; // Cut off by a power failure, or not ours.
  }
  const facts = new Map(Object.entries(typeof value === 'object' && value !== null ? value : {}));
  const word = (key: string): string => {
    const fact: unknown = facts.get(key);
    return typeof fact === 'string' ? fact : '';
  };
  const pid: unknown = facts.get('pid');
  const uptime: unknown = facts.get('uptimeSec');
  return {
    id: /^[0-9a-f]{1,32}$/.test(word('id')) ? word('id') : 'unreadable',
    pid: typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 ? pid : 0,
    host: word('host'),
    pidSpace: word('pidSpace'),
    started: word('started'),
    since: word('since'),
    uptimeSec: typeof uptime === 'number' && uptime > 0 ? uptime : 0,
  };
}

function describeOwn(): Holder {
  return {
    id: randomBytes(12).toString('hex'),
    pid: process.pid,
    host: os.hostname(),
    pidSpace: pidSpace(),
    started: startOf(process.pid),
    since: new Date().toISOString(),
    uptimeSec: Math.floor(os.uptime()),
  };
}

function pidSpace(): string {
  try {
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${boot} ${fs.readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return ''; // Not Linux.
  }
}

/** Field 22 of `/proc/PID/stat`, counted after the command name, which may contain anything. */
function startOf(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.pid === 0) return false;
  // Another machine on a shared folder: its processes cannot be seen from here.
  if (holder.host !== os.hostname()) return true;
  const here = pidSpace();
  if (holder.pidSpace !== here) {
    const [thereBoot] = holder.pidSpace.split(' ');
    return here.split(' ')[0] === thereBoot;
  }
  // Where there is no name of the boot: a process id may have gone to another program since.
  if (here === '' && os.uptime() < holder.uptimeSec) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
  return holder.started === startOf(holder.pid);
}

function lockedBy(file: string, holder: Holder): LockedError {
  const where = holder.host === os.hostname() ? '' : ` on ${holder.host}`;
  return new LockedError(
    'locked',
    `another run holds the lock: process ${holder.pid}${where} since ${holder.since}`,
    {
      hint: `Wait until it is done. If it certainly does not run any more, delete ${file}.`,
      facts: { pid: holder.pid, host: holder.host, since: holder.since },
    },
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function reasonOf(error: unknown): string {
  return codeOf(error) || String(error);
}
