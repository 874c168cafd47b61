/** Creates pipes, sockets and devices by other programs, since Node cannot create them. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';

/** A pipe, socket or device to create. */
export interface SpecialFile {
  readonly kind: 'pipe' | 'socket' | 'block-device' | 'character-device';
  /** Devices only. */
  readonly major: number;
  readonly minor: number;
}

/** Leaves a socket without a listener: a server that ends regularly would remove its socket. */
const SOCKET_SCRIPT = `
process.umask(0o177);
require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'));
`;

/**
 * Creates a pipe or device by the system's `mkfifo` or `mknod`, and a socket by a process that
 * listens and is killed.
 *
 * @param fullPath - an absolute path in UTF-8
 * @returns false if the program is missing or fails
 */
export function makeSpecialFile(fullPath: string, special: SpecialFile): boolean {
  const { kind, major, minor } = special;
  switch (kind) {
    case 'pipe':
      return succeeds('mkfifo', ['-m', '600', fullPath]);
    case 'socket':
      return makeSocket(fullPath);
    case 'block-device':
      return succeeds('mknod', ['-m', '600', fullPath, 'b', `${major}`, `${minor}`]);
    case 'character-device':
      return succeeds('mknod', ['-m', '600', fullPath, 'c', `${major}`, `${minor}`]);
  }
}

function succeeds(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** A socket's path is limited to about 100 bytes, so a relative path in its folder is used. */
function makeSocket(fullPath: string): boolean {
  const place = `./${path.basename(fullPath)}`; // a bare name might start with a dash
  const { signal } = spawnSync(process.execPath, ['-e', SOCKET_SCRIPT, place], {
    cwd: path.dirname(fullPath),
    env: {},
    stdio: 'ignore',
  });
  return signal === 'SIGKILL';
}
