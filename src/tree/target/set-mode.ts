/** Sets permission bits by a path that must not be a symlink. */
import { chmodSync, closeSync, constants, openSync } from 'node:fs';

const O_PATH = 0o10000000;

/** Sets permission bits without following a symlink, even one that appears at this moment. */
export function setMode(full: Buffer, mode: number): void {
  if (process.platform !== 'linux') {
    chmodSync(full, mode);
    return;
  }
  const fd = openSync(full, O_PATH | constants.O_NOFOLLOW);
  try {
    chmodSync(`/proc/self/fd/${String(fd)}`, mode);
  } finally {
    closeSync(fd);
  }
}
