/** Writes files so that readers see the old bytes or the new ones. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { retryWhileHeld, isWindows } from '../../platform.ts';

/** How the name of a file ends that is being written, after the name that it is to have. */
export const TEMPORARY_SUFFIX = /\.[0-9a-f]{12}\.tmp$/;

/**
 * Puts a folder's entries on the disk, where the platform can: Windows and a few file systems
 * cannot sync a folder and need not.
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
    // A file system without this call keeps its own order.
  } finally {
    fs.closeSync(fd);
  }
}

/** Creates a file that must not exist yet, and waits until its bytes are on the disk. */
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
 * Replaces a file of a cache in one step, without waiting for the disk: a power cut may bring back
 * old bytes, or ones that its reader must recognise as damaged.
 */
export function replaceCacheFile(file: string, content: Uint8Array, mode: number): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    fs.writeFileSync(temporary, content, { flag: 'wx', mode });
    makeWay(file);
    retryWhileHeld(() => fs.renameSync(temporary, file));
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/** An empty folder in the place of a file is removed; one that holds something stays. */
function makeWay(file: string): void {
  if (fs.lstatSync(file, { throwIfNoEntry: false })?.isDirectory() === true) fs.rmdirSync(file);
}

/**
 * Replaces a file in one step: readers see the old bytes or the new ones, also after a power cut.
 * The new file belongs to whom the old one did, so that a run as root locks nobody out.
 *
 * @param mode - permission bits of the new file
 * @param mtimeSec - its modification time; absent: now
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
  makeWay(file);
  const old = fs.lstatSync(file, { throwIfNoEntry: false });
  if (old?.isFile() !== true) return;
  if (isWindows)
    fs.chmodSync(file, 0o600); // a read-only file cannot be replaced
  else if (process.getuid?.() === 0) fs.chownSync(temporary, old.uid, old.gid);
}

/** Removes what a {@link replaceFile} of this file left behind when it was killed. */
export function removeTemporaries(file: string): void {
  const folder = path.dirname(file);
  for (const name of fs.readdirSync(folder)) {
    if (name.replace(TEMPORARY_SUFFIX, '') !== path.basename(file) || name === path.basename(file))
      continue;
    fs.rmSync(path.join(folder, name), { force: true });
  }
}
