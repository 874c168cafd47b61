/** Has a file system stored as a whole, by coreutils' `sync`: Node has no such call. */
import { spawn } from 'node:child_process';

/**
 * Waits until the file system that holds a folder has stored everything (syncfs, Linux).
 *
 * @param folder - a path of text
 * @returns false when the program is missing, too old for `-f`, or says that it failed
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
