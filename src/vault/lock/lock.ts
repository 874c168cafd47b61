/** The locks of a vault and of a target: files that say who holds them. */
import fs from 'node:fs';
import path from 'node:path';
import { FileError, LockedError, VaultError } from '../../errors.ts';
import { errnoOf, retryWhileHeld } from '../../platform.ts';
import { reasonOf } from '../../system-words.ts';
import {
  describeOwn,
  encodeHolder,
  isGone,
  LEASE_SEC,
  lookAtHolder,
  parseHolder,
  type Holder,
  type LockTask,
  type SeenHolder,
} from './lock-holder.ts';
import { ownHost } from './process-identity.ts';
import { NotAFileError, readRegularFile, withRegularFile } from '../files/regular-file.ts';

/** A held lock. */
export interface Lock {
  /** Gives the lock back; idempotent, synchronous, never throws. Also runs when the process ends. */
  release(): void;
  /**
   * Aborts when somebody else has the lock, who could not see this process and heard nothing of it for
   * too long (a machine that slept, a disk that did not answer); the reason is a {@link LockedError}.
   */
  readonly lost: AbortSignal;
}

/** How a lock is taken. */
export interface LockOptions {
  /** What it is taken for, for those who meet it. */
  readonly task?: LockTask;
  /** What to do about a lock that is held, as the hint of the error. */
  readonly hint?: string;
  /** Id of a holder whose lease was watched, and has run out. */
  readonly lapsed?: string;
}

const SUCCESSIONS_MAX = 64;
/** A lease is renewed so much more often than it would run out. */
const RENEWALS_PER_LEASE = 6;

/**
 * Takes an exclusive lock. A lock whose process is gone is taken over: one that is not to be found in
 * the same boot of the machine, whatever that is called by now, and one on another machine or in
 * another container that has not renewed its lease. Any other is respected.
 *
 * Taking over is a succession: the file `LOCK.after-ID` can be created once for every dead holder
 * ID, and only who created it may replace the lock. Two processes that both see a dead holder can
 * therefore never both win.
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
    throw notMade(file, error);
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
    try {
      if (readHolder(file)?.id === own.id) fs.rmSync(file, { force: true });
    } catch {
      // The lock stays and is found stale by the next run.
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
  'Another restore or clone is filling this folder: wait until it is done. If it was killed, nothing is to be done: the next run notices, after a minute of silence at most.';

function notMade(file: string, cause: unknown): VaultError {
  const hints: Readonly<Record<string, string>> = {
    ENOSPC: 'The disk that it is on is full: make room on it.',
    EDQUOT: 'There is no space left for you on its disk: make room on it.',
    EROFS:
      'Its disk is read-only, perhaps because it has errors. What only reads (restore, verify, fsck, ls, cat) works all the same.',
  };
  const folder = path.dirname(file);
  return new VaultError('lock-failed', `cannot make the lock ${file}: ${reasonOf(cause)}`, {
    hint: hints[errnoOf(cause)] ?? `Check that ${folder} can be written to by this user.`,
    cause,
  });
}

/**
 * Shows those who cannot see this process that it lives: the file is written again, with the same
 * bytes, so that its time is the one of the disk that it is on.
 */
function renew(file: string, own: Holder, lost: AbortController): void {
  try {
    const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    try {
      const { id } = parseHolder(fs.readFileSync(fd, 'utf8'));
      if (id === own.id) fs.writeSync(fd, encodeHolder(own), 0);
      else lost.abort(new LockedError('lock-lost', `another run has taken the lock ${file} over`));
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    // Nobody else has it; what cannot be written now is tried again.
  }
}

/**
 * Removes what processes that were killed have left beside a lock, which is held: files in which they
 * were about to become its holder. (A succession of any holder but this one is void.)
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
    // Nobody minds them: the next run tries again.
  }
}

/** Milliseconds after which nobody is in the middle of writing so short a file. */
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
    for (let heir = heirOf(file, named); heir !== undefined; heir = heirOf(file, heir)) {
      chain.push(heir);
    }
    const holder = chain.at(-1) ?? named;
    if (holder.id !== lapsed && !isGone(holder, nowMs)) throw lockedBy(file, holder, hint);
    const succession = successionFile(file, holder);
    if (createExclusively(succession, own) !== undefined) continue;
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

/**
 * Looks at a lock without taking it.
 *
 * @param file - as for {@link acquireLock}
 * @returns undefined when nobody holds it
 */
export function lockHolder(file: string): SeenHolder | undefined {
  let holder: Holder | undefined;
  try {
    for (let next = readHolder(file); next !== undefined; next = heirOf(file, next)) {
      if (next.id === holder?.id) break;
      holder = next;
    }
  } catch (error) {
    // Something else is in its place: as unreadable as a lock can be.
    if (!(error instanceof FileError)) throw error;
    holder = parseHolder('');
  }
  return holder && lookAtHolder(holder);
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
  try {
    fs.writeFileSync(temporary, encodeHolder(own), { mode: 0o600, flag: 'wx' });
    retryWhileHeld(() => fs.renameSync(temporary, file));
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * @returns undefined when the file is made; the time on its disk, milliseconds since 1970, when there is
 *   one already
 */
function createExclusively(file: string, own: Holder): number | undefined {
  const temporary = `${file}.${own.id}.tmp`;
  try {
    fs.writeFileSync(temporary, encodeHolder(own), { mode: 0o600, flag: 'wx' });
    // A hard link appears with its whole content at once; a created file would be empty first.
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
    fs.rmSync(temporary, { force: true });
  }
}

/** For file systems without hard links (FAT, exFAT). @returns false when the file exists already */
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
 * @returns undefined when there is no such file; a text that stays unreadable counts as a holder
 *   that is gone
 */
function readHolder(file: string): Holder | undefined {
  const found = readLock(file);
  if (found === undefined || found.pid !== 0) return found;
  // Without hard links a lock is empty for an instant while it is being written.
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
 * @throws {FileError} `lock-failed` — something else has its name
 */
function reading<T>(file: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const isAbsent = errnoOf(error) === 'ENOENT';
    if (isAbsent && !isSymlink(file)) return undefined;
    if (!isAbsent && errnoOf(error) !== 'ELOOP' && !(error instanceof NotAFileError)) throw error;
    throw new FileError('lock-failed', `${file} is in the way: it is no lock, but something else`, {
      hint: 'Remove it, if nothing in it is needed.',
      cause: error,
    });
  }
}

function isSymlink(file: string): boolean {
  return fs.lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function lockedBy(file: string, holder: Holder, hint: string = UNLOCK_HINT): LockedError {
  const { pid, host, since, task } = holder;
  const where = host === ownHost() ? '' : ` on ${host}`;
  const what = task === undefined ? '' : ` (${shownTask(task)})`;
  return new LockedError(
    'locked',
    `another run holds the lock ${file}: process ${pid}${where}${what} since ${since}`,
    { hint, facts: { pid, host, since } },
  );
}

const UNLOCK_HINT = 'Wait until it is done. If it certainly does not run any more: ecsync unlock';

/** `push to server:backup` */
export function shownTask({ command, destination }: LockTask): string {
  return destination === undefined ? command : `${command} to ${destination}`;
}
