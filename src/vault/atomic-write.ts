import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

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
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * Replaces a file in one step: readers see the old bytes or the new ones, also after a power cut.
 *
 * @param mode - permission bits of the new file
 */
export function replaceFile(file: string, content: Uint8Array | string, mode: number): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    writeNewFile(temporary, content, mode);
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(path.dirname(file));
}
