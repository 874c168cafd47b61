import { spawnSync } from 'node:child_process';

/** A pipe or device to be made. */
export interface SpecialFile {
  readonly kind: 'pipe' | 'block-device' | 'character-device';
  /** Devices only. */
  readonly major: number;
  readonly minor: number;
}

/**
 * Makes a pipe or device with the system's own `mkfifo` or `mknod`, since Node cannot.
 *
 * @param fullPath - an absolute path, in UTF-8
 * @returns false when there is no such program, or it failed
 */
export function makeSpecialFile(fullPath: string, special: SpecialFile): boolean {
  const { kind, major, minor } = special;
  const result =
    kind === 'pipe'
      ? spawnSync('mkfifo', ['-m', '600', fullPath], { stdio: 'ignore' })
      : spawnSync(
          'mknod',
          ['-m', '600', fullPath, kind === 'block-device' ? 'b' : 'c', `${major}`, `${minor}`],
          { stdio: 'ignore' },
        );
  return result.status === 0;
}
