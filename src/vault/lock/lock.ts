/** The locks of a vault and of a target: files that name their holder. */
import fs from 'node:fs';
import path from 'node:path';
import { FileError, LockedError, VaultError } from '../../errors.ts';
import { errnoOf, retryWhileHeld } from '../../platform.ts';
import { reasonOf } from '../../system-errors.ts';
import {
  describeOwn,
  encodeHolder,
  isGone,
  LEASE_SEC,
  observeHolder,
  parseHolder,
  type Holder,
  type LockTask,
  type ObservedHolder,
} from './lock-holder.ts';
import { ownHost } from './process-identity.ts';
import { NotAFileError, readRegularFile, withRegularFile } from '../files/regular-file.ts';

/** A held lock. */
export interface Lock {
  /** Releases the lock; idempotent, synchronous, never throws. Also runs when the process exits. */
  release(): void;
  /**
   * Aborts when another process has taken over the lock, because this one was invisible to it and
   * silent for too long (a machine that slept, a disk that did not answer); the reason is a {@link
   * LockedError}.
   */
  readonly lost: AbortSignal;
}

/** How a lock is taken. */
export interface LockOptions {
  /** The purpose, for other runs that find the lock held. */
  readonly task?: LockTask;
  /** What to do about a held lock, as the hint of the error. */
  readonly hint?: string;
  /** Id of a holder whose lease was watched and has expired. */
  readonly lapsed?: string;
}

/** Holders in this process that ended while their lock was out of reach, as on a disk that is away. */
const left = new Set<string>();

const SUCCESSIONS_MAX = 64;
/** Renewals during the term of a lease. */
const RENEWALS_PER_LEASE = 6;

/**
 * Takes an exclusive lock. A lock whose holder is gone is taken over: when its process has ended in
 * the same boot of the machine, whatever the machine is called now, or when a holder on another
 * machine or in another container has not renewed its lease. All other locks are respected.
 *
 * A takeover is a succession: the file `LOCK.after-ID` can be created once for every dead holder
 * ID, and only its creator may replace the lock. So two processes that both find a dead holder
 * never both succeed.
 *
 * @param file - absolute path of the lock file; its folder exists
 * @throws {LockedError} `locked`
 * @throws {FileError} `lock-failed` — the folder cannot be written
 */
export function acquireLock(file: string, options: LockOptions = {}): Lock {
  const own = describeOwn(options.task);
  try {
    takeLock(file, own, options);
  } catch (error) {
    if (error instanceof LockedError || error instanceof FileError) throw error;
    throw lockNotCreated(file, error);
  }
  sweep(file, own);
  const lost = new AbortController();
  const renewal = setInterval(
    () => renew(file, own, lost),
    (LEASE_SEC * 1000) / RENEWALS_PER_LEASE,
  ).unref();
  const release = (): void => {
    clearInterval(renewal);
    process.removeListener('exit', release);
    left.add(own.id);
    try {
      if (readHolder(file)?.id !== own.id) return;
      fs.unlinkSync(file);
      left.delete(own.id);
    } catch {
      // The lock stays, and the next run finds it stale.
    }
  };
  process.once('exit', release);
  return { release, lost: lost.signal };
}

/** Takes the lock of a target that is being filled; errors as {@link acquireLock}. */
export function acquireTargetLock(file: string): Lock {
  return acquireLock(file, { hint: TARGET_HINT });
}

const TARGET_HINT =
  'Another restore or clone is filling this folder: wait until it is done. If it was killed, do nothing: the next run notices that within a minute.';

function lockNotCreated(file: string, cause: unknown): VaultError {
  const hints: Readonly<Record<string, string>> = {
    ENOSPC: 'Its disk is full: free some space.',
    EDQUOT: 'Your quota on its disk is used up: free some space.',
    EROFS:
      'Its disk is read-only, perhaps because it has errors. Commands that only read (restore, verify, fsck, ls, cat) still work.',
  };
  const folder = path.dirname(file);
  return new VaultError('lock-failed', `cannot make the lock ${file}: ${reasonOf(cause)}`, {
    hint: hints[errnoOf(cause)] ?? `Check that this user can write to ${folder}.`,
    cause,
  });
}

/**
 * Renews the lease, for processes that cannot see this one: writes the same bytes again, so that
 * the file gets an mtime by the clock of its disk.
 */
function renew(file: string, own: Holder, lost: AbortController): void {
  try {
    const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    try {
      const { id } = parseHolder(fs.readFileSync(fd, 'utf8'));
      if (id === own.id) fs.writeSync(fd, encodeHolder(own), 0);
      else lost.abort(new LockedError('lock-lost', `another run has taken over the lock ${file}`));
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    // Nobody else has the lock; the next renewal tries again.
  }
}

/**
 * Removes files that killed processes left beside a held lock when they were about to take it. (Takeover files for other holders have no
 * effect.)
 */
function sweep(file: string, own: Holder): void {
  const start = `${path.basename(file)}.`;
  try {
    for (const name of fs.readdirSync(path.dirname(file))) {
      if (!name.startsWith(start)) continue;
      const rest = name.slice(start.length);
      const isVoid = /^after-/.test(rest) && rest !== `after-${own.id}`;
      const leftover = path.join(path.dirname(file), name);
      if (isVoid || (/^[0-9a-f]{24}\.tmp$/.test(rest) && isAbandoned(leftover))) {
        fs.rmSync(leftover, { force: true });
      }
    }
  } catch {
    // They do no harm; the next run tries again.
  }
}

/** Milliseconds after which nobody can still be writing so short a file. */
const WRITING_MS = 60_000;

function isAbandoned(leftover: string): boolean {
  const text = readText(leftover);
  if (text === undefined) return false;
  const holder = parseHolder(text);
  if (holder.pid !== 0) return isGone(holder);
  return Date.now() - fs.statSync(leftover).mtimeMs > WRITING_MS;
}

function takeLock(file: string, own: Holder, { hint, lapsed }: LockOptions): void {
  for (let attempt = 0; attempt < SUCCESSIONS_MAX; attempt++) {
    const nowMs = createExclusively(file, own);
    if (nowMs === undefined) return;
    const named = readHolder(file);
    if (named === undefined) continue;
    const chain = [named];
    for (
      let successor = successorOf(file, named);
      successor !== undefined;
      successor = successorOf(file, successor)
    ) {
      chain.push(successor);
    }
    const holder = chain.at(-1) ?? named;
    const hasLeft = holder.id === lapsed || left.has(holder.id);
    if (!hasLeft && !isGone(holder, nowMs)) throw heldByOther(file, holder, hint);
    const succession = successionFile(file, holder);
    if (createExclusively(succession, own) !== undefined) continue;
    // Another process may have finished a succession since `named` was read: then ours is void.
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

/**
 * Reads the holder of a lock without taking it.
 *
 * @param file - as for {@link acquireLock}
 * @returns undefined when nobody holds it
 */
export function lockHolder(file: string): ObservedHolder | undefined {
  let holder: Holder | undefined;
  try {
    for (let next = readHolder(file); next !== undefined; next = successorOf(file, next)) {
      if (next.id === holder?.id) break;
      holder = next;
    }
  } catch (error) {
    // Something else is in its place: it counts as an unreadable lock.
    if (!(error instanceof FileError)) throw error;
    holder = parseHolder('');
  }
  return holder && observeHolder(holder);
}

/**
 * Removes a lock, whoever holds it. Only for a holder that is known to be gone.
 *
 * @param file - as for {@link acquireLock}
 * @throws {FileError} `lock-failed`
 */
export function removeLock(file: string): void {
  try {
    const chain: string[] = [file];
    for (let next = readHolder(file); next !== undefined; next = successorOf(file, next)) {
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

function successorOf(file: string, holder: Holder): Holder | undefined {
  return readHolder(successionFile(file, holder));
}

function replaceLock(file: string, own: Holder): void {
  const temporary = `${file}.${own.id}.tmp`;
  try {
    fs.writeFileSync(temporary, encodeHolder(own), { mode: 0o600, flag: 'wx' });
    retryWhileHeld(() => fs.renameSync(temporary, file));
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * @returns undefined when the file was created; if it exists already, the current time of its disk,
 *   in milliseconds since 1970
 */
function createExclusively(file: string, own: Holder): number | undefined {
  const temporary = `${file}.${own.id}.tmp`;
  try {
    fs.writeFileSync(temporary, encodeHolder(own), { mode: 0o600, flag: 'wx' });
    // A hard link appears with its whole content at once; a created file would be empty at first.
    fs.linkSync(temporary, file);
    return undefined;
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'EEXIST') {
      if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EMLINK'].includes(code)) {
        throw error;
      }
      if (createWithoutLinks(file, own)) return undefined;
    }
    return fs.statSync(temporary).mtimeMs;
  } finally {
    removeQuietly(temporary);
  }
}

/** A temporary file that stays does no harm: a later run sweeps it away. */
function removeQuietly(temporary: string): void {
  try {
    fs.unlinkSync(temporary);
  } catch {
    // It was not made, or cannot be removed.
  }
}

/** For file systems without hard links (FAT, exFAT). @returns false when the file exists */
function createWithoutLinks(file: string, own: Holder): boolean {
  try {
    fs.writeFileSync(file, encodeHolder(own), { mode: 0o600, flag: 'wx' });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * @returns undefined when there is no such file; a text that stays unreadable counts as a dead
 *   holder
 */
function readHolder(file: string): Holder | undefined {
  const found = readLock(file);
  if (found === undefined || found.pid !== 0) return found;
  // Without hard links a lock is empty for a moment while it is written.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  return readLock(file);
}

function readLock(file: string): Holder | undefined {
  return reading(file, () =>
    withRegularFile(file, (fd) => {
      const renewedMs = fs.fstatSync(fd).mtimeMs;
      return { ...parseHolder(fs.readFileSync(fd, 'utf8')), renewedMs };
    }),
  );
}

function readText(file: string): string | undefined {
  return reading(file, () => readRegularFile(file).toString());
}

/**
 * @returns undefined when there is no such file
 * @throws {FileError} `lock-failed` — another object has its name
 */
function reading<T>(file: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const isAbsent = errnoOf(error) === 'ENOENT';
    if (isAbsent && !isSymlink(file)) return undefined;
    if (!isAbsent && errnoOf(error) !== 'ELOOP' && !(error instanceof NotAFileError)) throw error;
    throw new FileError('lock-failed', `${file} is in the way: it is not a lock file`, {
      hint: 'Remove it, if you do not need its content.',
      cause: error,
    });
  }
}

function isSymlink(file: string): boolean {
  return fs.lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function heldByOther(file: string, holder: Holder, hint: string = UNLOCK_HINT): LockedError {
  const { pid, host, since, task } = holder;
  const where = host === ownHost() ? '' : ` on ${host}`;
  const what = task === undefined ? '' : ` (${shownTask(task)})`;
  return new LockedError(
    'locked',
    `another run holds the lock ${file}: process ${pid}${where}${what} since ${since}`,
    { hint, facts: { pid, host, since } },
  );
}

const UNLOCK_HINT = 'Wait until it is done. If it certainly no longer runs: ecsync unlock';

/** `push to server:backup` */
export function shownTask({ command, destination }: LockTask): string {
  return destination === undefined ? command : `${command} to ${destination}`;
}
