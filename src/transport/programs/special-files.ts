/** Makes pipes, sockets and devices by starting other programs, since Node cannot make them. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';

/** A pipe, socket or device to be made. */
export interface SpecialFile {
  readonly kind: 'pipe' | 'socket' | 'block-device' | 'character-device';
  /** Devices only. */
  readonly major: number;
  readonly minor: number;
}

/** Leaves a socket without anybody behind it: a server that ends in order takes its socket along. */
const SOCKET_SCRIPT = `
process.umask(0o177);
require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'));
`;

/**
 * Makes a pipe or device with the system's own `mkfifo` or `mknod`, since Node cannot, and a socket
 * with a process that listens and is killed.
 *
 * @param fullPath - an absolute path, in UTF-8
 * @returns false when there is no such program, or it failed
 */
export function makeSpecialFile(fullPath: string, special: SpecialFile): boolean {
  const { kind, major, minor } = special;
  switch (kind) {
    case 'pipe':
      return isDone('mkfifo', ['-m', '600', fullPath]);
    case 'socket':
      return makeSocket(fullPath);
    case 'block-device':
      return isDone('mknod', ['-m', '600', fullPath, 'b', `${major}`, `${minor}`]);
    case 'character-device':
      return isDone('mknod', ['-m', '600', fullPath, 'c', `${major}`, `${minor}`]);
  }
}

function isDone(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** The path of a socket has about 100 bytes, so it is named from inside its folder. */
function makeSocket(fullPath: string): boolean {
  const place = `./${path.basename(fullPath)}`; // a bare name might start with a dash
  const { signal } = spawnSync(process.execPath, ['-e', SOCKET_SCRIPT, place], {
    cwd: path.dirname(fullPath),
    env: {},
    stdio: 'ignore',
  });
  return signal === 'SIGKILL';
}
