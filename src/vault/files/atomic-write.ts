/** Writes files so that readers see either the old bytes or the new ones. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { retryWhileHeld, isWindows } from '../../platform.ts';

/** Suffix of temporary files, after the final name. */
export const TEMPORARY_SUFFIX = /\.[0-9a-f]{12}\.tmp$/;

/**
 * Flushes a folder's entries to the disk, if the platform can: Windows and a few file systems
 * cannot sync a folder, and need not.
 */
export function syncFolder(folder: string): void {
  let fd: number;
  try {
    fd = fs.openSync(folder, 'r');
  } catch {
    return; // Windows: a folder cannot be opened.
  }
  try {
    fs.fsyncSync(fd);
  } catch {
    // A file system without this call keeps the order itself.
  } finally {
    fs.closeSync(fd);
  }
}

/** Creates a file that must not exist, and waits until its bytes are on the disk. */
export function writeNewFile(file: string, content: Uint8Array | string, mode: number): void {
  const fd = fs.openSync(file, 'wx', mode);
  try {
    fs.writeFileSync(fd, content);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Replaces a cache file in one step, without waiting for the disk: after a power failure it may
 * have the old bytes, or damaged ones that its reader must recognise.
 */
export function replaceCacheFile(file: string, content: Uint8Array, mode: number): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    fs.writeFileSync(temporary, content, { flag: 'wx', mode });
    removeEmptyFolder(file);
    retryWhileHeld(() => fs.renameSync(temporary, file));
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/** Removes an empty folder in the place of a file; a folder that is not empty stays. */
function removeEmptyFolder(file: string): void {
  if (fs.lstatSync(file, { throwIfNoEntry: false })?.isDirectory() === true) fs.rmdirSync(file);
}

/**
 * Replaces a file in one step: readers see either the old bytes or the new ones, even after a power
 * failure. The new file gets the owner of the old one, so that a run as root locks nobody out.
 *
 * @param mode - permission bits of the new file
 * @param mtimeSec - its mtime; absent: now
 */
export function replaceFile(
  file: string,
  content: Uint8Array | string,
  mode: number,
  mtimeSec?: number,
): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    writeNewFile(temporary, content, mode);
    if (mtimeSec !== undefined) fs.utimesSync(temporary, mtimeSec, mtimeSec);
    prepareReplacing(file, temporary);
    retryWhileHeld(() => fs.renameSync(temporary, file));
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(path.dirname(file));
}

function prepareReplacing(file: string, temporary: string): void {
  removeEmptyFolder(file);
  const old = fs.lstatSync(file, { throwIfNoEntry: false });
  if (old?.isFile() !== true) return;
  if (isWindows)
    fs.chmodSync(file, 0o600); // a read-only file cannot be replaced
  else if (process.getuid?.() === 0) fs.chownSync(temporary, old.uid, old.gid);
}

/** Removes temporary files that killed calls of {@link replaceFile} left for this file. */
export function removeTemporaries(file: string): void {
  const folder = path.dirname(file);
  for (const name of fs.readdirSync(folder)) {
    if (name.replace(TEMPORARY_SUFFIX, '') !== path.basename(file) || name === path.basename(file))
      continue;
    fs.rmSync(path.join(folder, name), { force: true });
  }
}
