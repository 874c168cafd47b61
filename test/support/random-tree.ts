import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  ftruncateSync,
  lchownSync,
  lutimesSync,
  mkdirSync,
  openSync,
  closeSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

/** Numbers that follow from a seed: 0 … 2^32 − 1 each (Marsaglia's xorshift). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1;
  }

  next(): number {
    let x = this.#state;
    x = (x ^ (x << 13)) >>> 0;
    x = (x ^ (x >>> 17)) >>> 0;
    x = (x ^ (x << 5)) >>> 0;
    this.#state = x;
    return x;
  }

  /** 0 … limit − 1. */
  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  /** True about once in `n`. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let i = 0; i < length; i++) bytes[i] = this.next() >>> 24;
    return bytes;
  }
}

const SIZES = [0, 0, 1, 15, 16, 17, 4095, 4096, 4097, 8191, 8192, 8193] as const;
const MODES = [0o644, 0o600, 0o444, 0o000, 0o755, 0o4711, 0o2755, 0o1777] as const;
const NAME_LENGTHS = [1, 2, 5, 15, 16, 17, 31, 32, 63, 64, 100, 175, 176, 200, 240, 255] as const;
const RESERVED = [
  'gocryptfs.conf',
  'gocryptfs.diriv',
  'gocryptfs.longname.x',
  'gocryptfs.longname.x.name',
  '.gocryptfs.reverse.conf',
] as const;
const DEPTH_MAX = 12;

function below(folder: Buffer, name: Buffer | string): Buffer {
  return Buffer.concat([folder, Buffer.from('/'), Buffer.from(name)]);
}

/** Any bytes but NUL and slash, in any length a file system takes; now and then a special one. */
function randomName(random: Random): Buffer {
  if (random.oneIn(40)) return Buffer.from(random.pick(RESERVED));
  const length = random.oneIn(3) ? random.pick(NAME_LENGTHS) : 1 + random.below(20);
  if (random.oneIn(2)) {
    const letters = random.bytes(length).map((byte) => 0x61 + (byte % 26));
    return Buffer.from(letters);
  }
  const odd = random.bytes(length).map((byte) => (byte === 0 || byte === 0x2f ? 0x0a : byte));
  return odd[0] === 0x2e ? Buffer.from(odd.fill(0x2d, 0, 1)) : Buffer.from(odd);
}

function makeFile(random: Random, path: Buffer): void {
  if (random.oneIn(12)) {
    const file = openSync(path, 'w');
    ftruncateSync(file, 1 + random.below(60_000));
    if (random.oneIn(2)) writeSync(file, Buffer.from('data'), 0, 4, random.below(40_000));
    closeSync(file);
    return;
  }
  const size = random.oneIn(2) ? random.pick(SIZES) : random.below(20_000);
  writeFileSync(path, random.bytes(size));
}

function makeSymlink(random: Random, path: Buffer): void {
  const length = random.oneIn(5) ? 1 + random.below(3039) : 1 + random.below(60);
  const target = random.bytes(length).map((byte) => byte || 0x2f);
  symlinkSync(Buffer.from(target), path);
}

/** Owner, mode and time; a third of the objects keep the time at which they were made. */
function setAttributes(random: Random, path: Buffer, kind: 'link' | 'folder' | 'other'): void {
  if (random.oneIn(3)) lchownSync(path, random.below(3000), random.below(3000));
  if (kind !== 'link') {
    const mode = random.pick(MODES);
    chmodSync(path, kind === 'folder' ? mode | 0o700 : mode);
  }
  if (random.oneIn(3)) return;
  const time = random.below(2 ** 31) + random.below(1e9) / 1e9;
  lutimesSync(path, time, time);
}

/**
 * Fills an existing empty folder with a small tree that follows from `seed`: names of any bytes,
 * files with and without holes, symlinks, fifos, deep folders, odd modes, owners and times. Needs
 * root for the owners.
 *
 * @param avoid - names that the folder itself must not get
 * @returns how many objects it made
 */
export function makeRandomTree(
  folder: Buffer,
  seed: number,
  avoid: readonly string[] = [],
): number {
  const random = new Random(seed);
  let made = 0;
  const fill = (parent: Buffer, depth: number): void => {
    const taken = new Set(depth === 0 ? avoid : []);
    const count = depth > 3 ? 1 + random.below(2) : 1 + random.below(6);
    for (let i = 0; i < count; i++) {
      const name = randomName(random);
      if (taken.has(name.toString('latin1'))) continue;
      taken.add(name.toString('latin1'));
      const path = below(parent, name);
      made++;
      const kind = random.below(10);
      if (kind < 3 && depth < DEPTH_MAX) {
        mkdirSync(path);
        fill(path, depth + 1);
        setAttributes(random, path, 'folder');
      } else if (kind < 8) {
        makeFile(random, path);
        setAttributes(random, path, 'other');
      } else {
        makeSymlink(random, path);
        setAttributes(random, path, 'link');
      }
    }
  };
  fill(folder, 0);
  if (random.oneIn(10)) {
    const fifo = below(folder, 'the fifo');
    execFileSync('mkfifo', [fifo.toString()]);
    setAttributes(random, fifo, 'other');
    made++;
  }
  return made;
}
