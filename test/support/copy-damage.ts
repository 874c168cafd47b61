import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';

/** Repeatable random numbers (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `count`. */
  below(count: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % count;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }
}

/** The objects of a cipher folder by what they are. */
interface Inventory {
  readonly root: string;
  readonly block: number;
  readonly directories: readonly string[];
  /** Encrypted regular files, not the format's own. */
  readonly files: readonly string[];
  /** Of these, the ones of several blocks. */
  readonly large: readonly string[];
  readonly links: readonly string[];
  readonly dirIVs: readonly string[];
  readonly nameFiles: readonly string[];
}

function takeInventory(root: string, block: number): Inventory {
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) =>
    path.join(root, name),
  );
  const of = (test: (file: string, name: string) => boolean) =>
    all.filter((file) => test(file, path.basename(file))).sort();
  const files = of(
    (file, name) =>
      lstatSync(file).isFile() &&
      name !== 'gocryptfs.conf' &&
      name !== 'gocryptfs.diriv' &&
      !name.endsWith('.name') &&
      lstatSync(file).size > 0,
  );
  return {
    root,
    block,
    directories: of((file) => lstatSync(file).isDirectory()),
    files,
    large: files.filter((file) => lstatSync(file).size > 18 + 3 * block),
    links: of((file) => lstatSync(file).isSymbolicLink()),
    dirIVs: of((_, name) => name === 'gocryptfs.diriv'),
    nameFiles: of((_, name) => name.endsWith('.name')),
  };
}

const LETTERS = ['a', 'b', 'c', 'd', 'e', 'V', 'W', 'X', 'Y', 'Z'];

type Damage = (copy: Inventory, dice: Dice) => string;

/** Rewrites a file of any mode. */
function rewrite(file: string, change: (bytes: Buffer) => Buffer | undefined): string {
  const bytes = readFileSync(file);
  writeFileSync(file, change(bytes) ?? bytes);
  return path.basename(file);
}

function flip(bytes: Buffer, at: number, dice: Dice): undefined {
  bytes.writeUInt8((bytes[at] ?? 0) ^ (1 << dice.below(8)), at);
}

function flipIn(file: string, dice: Dice): string {
  return rewrite(file, (bytes) => flip(bytes, dice.below(bytes.length), dice));
}

function cut(file: string, size: number): string {
  truncateSync(file, Math.min(size, lstatSync(file).size - 1));
  return path.basename(file);
}

function block(bytes: Buffer, blockNo: number, size: number): Buffer {
  return bytes.subarray(18 + blockNo * size, 18 + (blockNo + 1) * size);
}

const DAMAGES: Readonly<Record<string, Damage>> = {
  'a bit of a header': ({ files }, dice) =>
    rewrite(dice.pick(files), (bytes) => flip(bytes, dice.below(18), dice)),
  'a bit of a nonce': ({ files }, dice) =>
    rewrite(dice.pick(files), (bytes) => flip(bytes, 18 + dice.below(16), dice)),
  'a bit of the last block': ({ files }, dice) =>
    rewrite(dice.pick(files), (bytes) => flip(bytes, bytes.length - 1 - dice.below(16), dice)),
  'a bit anywhere': ({ files }, dice) => flipIn(dice.pick(files), dice),
  'a header of zeros': ({ files }, dice) =>
    rewrite(dice.pick(files), (bytes) => bytes.fill(0, 0, 18)),
  'cut anywhere': ({ files }, dice) => {
    const file = dice.pick(files);
    return cut(file, 19 + dice.below(lstatSync(file).size));
  },
  'cut at the end of a block': (copy, dice) => cut(dice.pick(copy.large), 18 + copy.block),
  'cut inside the header': ({ files }, dice) => cut(dice.pick(files), 1 + dice.below(17)),
  // For stock, and in what it wrote, that is an empty file.
  'cut to the header': ({ files }, dice) => cut(dice.pick(files), 18),
  'cut to nothing': ({ files }, dice) => cut(dice.pick(files), 0),
  'a few bytes more': ({ files }, dice) =>
    rewrite(dice.pick(files), (bytes) => Buffer.concat([bytes, Buffer.alloc(10, 7)])),
  'two blocks exchanged': (copy, dice) =>
    rewrite(dice.pick(copy.large), (bytes) => {
      const first = Buffer.from(block(bytes, 0, copy.block));
      block(bytes, 1, copy.block).copy(bytes, 18);
      first.copy(bytes, 18 + copy.block);
      return bytes;
    }),
  'a block of another file': (copy, dice) => {
    const other = readFileSync(copy.large[0] ?? '');
    return rewrite(dice.pick(copy.large.slice(1)), (bytes) => {
      block(other, 1, copy.block).copy(bytes, 18 + copy.block);
      return bytes;
    });
  },
  'a block of zeros': (copy, dice) =>
    rewrite(dice.pick(copy.large), (bytes) => {
      block(bytes, dice.below(3), copy.block).fill(0);
      return bytes;
    }),
  'a block taken out': (copy, dice) =>
    rewrite(dice.pick(copy.large), (bytes) =>
      Buffer.concat([bytes.subarray(0, 18), bytes.subarray(18 + copy.block)]),
    ),
  'two files exchanged': ({ large }, dice) => {
    const a = dice.pick(large);
    const b = dice.pick(large);
    const bytes = readFileSync(a);
    copyFileSync(b, a);
    writeFileSync(b, bytes);
    return `${path.basename(a)} ${path.basename(b)}`;
  },
  'a file removed': ({ files }, dice) => {
    const file = dice.pick(files);
    unlinkSync(file);
    return path.basename(file);
  },
  'a diriv removed': ({ dirIVs }, dice) => {
    const file = dice.pick(dirIVs);
    unlinkSync(file);
    return file;
  },
  'a bit of a diriv': ({ dirIVs }, dice) => {
    const file = dice.pick(dirIVs);
    flipIn(file, dice);
    return file;
  },
  'a diriv of zeros': ({ dirIVs }, dice) => rewrite(dice.pick(dirIVs), (bytes) => bytes.fill(0)),
  'a diriv cut': ({ dirIVs }, dice) => cut(dice.pick(dirIVs), dice.below(16)),
  "another folder's diriv": ({ dirIVs }, dice) => {
    const from = dirIVs[0] ?? '';
    const to = dice.pick(dirIVs.slice(1));
    copyFileSync(from, to);
    return to;
  },
  'a .name file removed': ({ nameFiles }, dice) => {
    const file = dice.pick(nameFiles);
    unlinkSync(file);
    return path.basename(file);
  },
  'a bit of a .name file': ({ nameFiles }, dice) => flipIn(dice.pick(nameFiles), dice),
  'a .name file without its object': ({ nameFiles }, dice) => {
    const file = dice.pick(nameFiles);
    rmSync(file.slice(0, -'.name'.length), { recursive: true });
    return path.basename(file);
  },
  'a foreign file': ({ directories, root }, dice) => {
    const name = dice.pick(['.stray', '.file.AbC123', 'notes.txt', 'A'.repeat(22), 'x~']);
    writeFileSync(path.join(dice.pick([root, ...directories]), name), 'foreign');
    return name;
  },
  'a conf below the top': ({ directories }, dice) => {
    writeFileSync(path.join(dice.pick(directories), 'gocryptfs.conf'), '{}');
    return 'gocryptfs.conf';
  },
  'an object in another folder': ({ files, directories }, dice) => {
    const file = dice.pick(files);
    const others = directories.filter((directory) => directory !== path.dirname(file));
    renameSync(file, path.join(dice.pick(others), path.basename(file)));
    return path.basename(file);
  },
  'a character of a name': ({ files }, dice) => {
    const file = dice.pick(files.filter((candidate) => !candidate.includes('longname')));
    const name = Buffer.from(path.basename(file));
    name.write(dice.pick(LETTERS), dice.below(name.length - 1), 'latin1');
    const target = path.join(path.dirname(file), name.toString('latin1'));
    renameSync(file, target);
    return `${path.basename(file)} -> ${path.basename(target)}`;
  },
  'a character of a target': ({ links }, dice) => {
    const link = dice.pick(links);
    const target = Buffer.from(readlinkSync(link));
    target.write(dice.pick(LETTERS), dice.below(target.length - 1), 'latin1');
    return relink(link, target.toString('latin1'));
  },
  'a plaintext target': ({ links }, dice) => relink(dice.pick(links), '/etc/passwd'),
  'a link in place of a file': ({ files }, dice) => {
    const file = dice.pick(files);
    return relink(file, '/etc/passwd');
  },
  'a folder in place of a file': ({ files }, dice) => {
    const file = dice.pick(files);
    unlinkSync(file);
    mkdirSync(file);
    return path.basename(file);
  },
  'a pipe in place of a file': ({ files }, dice) => {
    const file = dice.pick(files);
    unlinkSync(file);
    execFileSync('mkfifo', [file]);
    return path.basename(file);
  },
};

function relink(link: string, target: string): string {
  unlinkSync(link);
  symlinkSync(target, link);
  return path.basename(link);
}

export const DAMAGE_KINDS: readonly string[] = Object.keys(DAMAGES);

/**
 * Damages a cipher folder once.
 *
 * @param options.block - bytes of a whole encrypted block
 * @returns what was done, for messages
 */
export function damageCopy(
  cipherDir: string,
  kind: string,
  options: { readonly block: number; readonly dice: Dice },
): string {
  const damage = DAMAGES[kind];
  if (damage === undefined) throw new Error(`no damage of the kind ${kind}`);
  const copy = takeInventory(cipherDir, options.block);
  return `${kind}: ${damage(copy, options.dice)}`;
}
