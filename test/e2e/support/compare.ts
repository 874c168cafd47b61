import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';

const SLASH = Buffer.from('/');
const CHUNK_BYTES = 1 << 18;
const bufferA = Buffer.alloc(CHUNK_BYTES);
const bufferB = Buffer.alloc(CHUNK_BYTES);

function join(root: Buffer, path: Buffer): Buffer {
  return path.length === 0 ? root : Buffer.concat([root, SLASH, path]);
}

/** Whether two files hold the same bytes; holes are read as zeros. */
function sameContent(a: Buffer, b: Buffer): boolean {
  const fdA = openSync(a, 'r');
  const fdB = openSync(b, 'r');
  try {
    for (;;) {
      const countA = readSync(fdA, bufferA);
      let countB = 0;
      while (countB < countA) {
        const more = readSync(fdB, bufferB, countB, countA - countB, null);
        if (more === 0) return false;
        countB += more;
      }
      if (countA === 0) return readSync(fdB, bufferB) === 0;
      if (!bufferA.subarray(0, countA).equals(bufferB.subarray(0, countA))) return false;
    }
  } finally {
    closeSync(fdA);
    closeSync(fdB);
  }
}

export interface CompareOptions {
  /** Top-level names that only the first tree has. */
  readonly ignore?: readonly string[];
  /** Compare times to the nanosecond (the protocol carries them from 31 on); else to the second. */
  readonly nanoseconds?: boolean;
  /** Compare which names are hard links of one inode. */
  readonly links?: boolean;
  readonly owners?: boolean;
}

/**
 * Every difference between two trees: names, kinds, content, modes, times, link targets, device
 * numbers, owners, hard-link groups. An empty list means equal.
 */
export function differences(a: string, b: string, options: CompareOptions = {}): string[] {
  const { ignore = [], nanoseconds = true, links = false, owners = true } = options;
  const found: string[] = [];
  const groups = new Map<string, string>();
  const say = (path: Buffer, what: string): void => {
    found.push(`${JSON.stringify(path.toString('latin1'))}: ${what}`);
  };
  const compare = (path: Buffer): void => {
    const pathA = join(Buffer.from(a), path);
    const pathB = join(Buffer.from(b), path);
    const statA = lstatSync(pathA, { bigint: true });
    const statB = lstatSync(pathB, { bigint: true });
    if (statA.mode !== statB.mode)
      say(path, `mode ${statA.mode.toString(8)}, ${statB.mode.toString(8)}`);
    if ((statA.mode ^ statB.mode) & 0o170000n) return;
    if (owners && (statA.uid !== statB.uid || statA.gid !== statB.gid)) say(path, 'owner');
    // A server does not change the time of anything but a file if it is right to the second.
    const unit = nanoseconds && statA.isFile() ? 1n : 1_000_000_000n;
    if (statA.mtimeNs / unit !== statB.mtimeNs / unit)
      say(path, `mtime ${statA.mtimeNs}, ${statB.mtimeNs}`);
    if (statA.isSymbolicLink()) {
      const targets = [pathA, pathB].map((p) => readlinkSync(p, { encoding: 'buffer' }));
      if (!(targets[0] ?? Buffer.alloc(0)).equals(targets[1] ?? Buffer.alloc(0)))
        say(path, 'link target');
    } else if (statA.isFile()) {
      if (statA.size !== statB.size) say(path, `size ${statA.size}, ${statB.size}`);
      else if (!sameContent(pathA, pathB)) say(path, 'content');
      if (links && statA.nlink > 1n) {
        const inB = groups.get(String(statA.ino));
        if (inB !== undefined && inB !== String(statB.ino)) say(path, 'hard link broken');
        groups.set(String(statA.ino), String(statB.ino));
        if (statB.nlink !== statA.nlink) say(path, `links ${statA.nlink}, ${statB.nlink}`);
      }
    } else if (statA.isDirectory()) {
      compareFolders(path, pathA, pathB);
    } else if (statA.rdev !== statB.rdev) {
      say(path, 'device numbers');
    }
  };
  const compareFolders = (path: Buffer, pathA: Buffer, pathB: Buffer): void => {
    const isTop = path.length === 0;
    const names = (folder: Buffer): Map<string, Buffer> =>
      new Map(
        readdirSync(folder, { encoding: 'buffer' })
          .filter((name) => !(isTop && ignore.includes(name.toString('latin1'))))
          .map((name) => [name.toString('latin1'), name]),
      );
    const inA = names(pathA);
    const inB = names(pathB);
    for (const key of inB.keys()) if (!inA.has(key)) say(path, `extra ${JSON.stringify(key)}`);
    for (const [key, name] of inA) {
      if (inB.has(key)) compare(isTop ? name : Buffer.concat([path, SLASH, name]));
      else say(path, `missing ${JSON.stringify(key)}`);
    }
  };
  compare(Buffer.alloc(0));
  return found;
}
