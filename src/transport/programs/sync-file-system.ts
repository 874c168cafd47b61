/** Flushes a whole file system to disk by coreutils' `sync`, since Node has no call for it. */
import { spawn } from 'node:child_process';

/**
 * Waits until the file system of a folder has written everything to disk (syncfs, Linux).
 *
 * @param folder - a path in UTF-8
 * @returns false if the path is not UTF-8, or the program is missing, too old for `-f`, or fails
 */
export function syncFileSystem(folder: Buffer): Promise<boolean> {
  const text = folder.toString();
  if (!Buffer.from(text).equals(folder)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const child = spawn('sync', ['-f', '--', text], { stdio: 'ignore' });
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });
}
