// Makes a small source folder from a seed, and edits it as users and programs do.
import {
  appendFileSync,
  chmodSync,
  constants,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  openSync,
  writeSync,
  closeSync,
} from 'node:fs';
import path from 'node:path';
import type { Random } from '../test/support/random-tree.ts';
import { inside, namesBelow } from './inside.ts';

const SIZES = [0, 1, 16, 4095, 4096, 4097, 12_288, 20_000] as const;
const LARGE = 300_000;
const YEARS_AGO_SEC = 1_600_000_000;

function aName(random: Random): string {
  const stem = random.pick(['report', 'photo', 'x', 'ünï', 'a b', 'mail', 'list', 'n']);
  const length = random.oneIn(6) ? 176 + random.below(60) : 0;
  return `${stem} ${random.below(1000)}${'l'.repeat(length)}`;
}

function aFile(random: Random, file: string): void {
  const size = random.oneIn(12) ? LARGE + random.below(LARGE) : random.pick(SIZES);
  writeFileSync(file, random.bytes(size));
  // Most files get an old time, so that they are not checked twice.
  if (random.oneIn(5)) return;
  const time = YEARS_AGO_SEC + random.below(50_000_000) + random.below(1000) / 1000;
  lutimesSync(file, time, time);
}

function fill(random: Random, folder: string, depth: number): void {
  const count = depth === 0 ? 8 : 1 + random.below(5);
  for (let i = 0; i < count; i++) {
    const where = path.join(folder, aName(random));
    if (existsSync(where)) continue;
    if (depth < 4 && random.oneIn(3)) {
      mkdirSync(where);
      fill(random, where, depth + 1);
    } else if (random.oneIn(8)) symlinkSync(`target ${random.below(100)}`, where);
    else aFile(random, where);
  }
}

/** Makes and fills a folder: some forty objects with short and long names. */
export function makeSource(folder: string, random: Random): void {
  mkdirSync(folder, { recursive: true });
  fill(random, folder, 0);
  const shelf = path.join(folder, 'shelf');
  mkdirSync(shelf);
  for (let i = 0; i < 6; i++) aFile(random, path.join(shelf, `part.${i}`));
  writeFileSync(path.join(folder, 'large'), random.bytes(LARGE * 3));
  linkSync(path.join(shelf, 'part.0'), path.join(folder, 'linked'));
}

/**
 * Every object below a folder except the vault's, deepest last, with its whole path. No link is
 * followed.
 */
export function objectsOf(folder: string): string[] {
  return namesBelow(folder)
    .filter((name) => name.split('/')[0] !== '.ecsync')
    .map((name) => path.join(folder, name));
}

function isFolder(one: string): boolean {
  return lstatSync(one).isDirectory();
}

function isLink(one: string): boolean {
  return lstatSync(one).isSymbolicLink();
}

function isNoLink(one: string): boolean {
  return !isLink(one);
}

/** A link exists even if its target does not. */
function isThere(one: string): boolean {
  return lstatSync(one, { throwIfNoEntry: false }) !== undefined;
}

function isFile(one: string): boolean {
  return lstatSync(one).isFile();
}

/** An unused name in a random folder, possibly the root itself. */
function freePlace(root: string, random: Random): string {
  const folders = [root, ...objectsOf(root).filter(isFolder)];
  for (;;) {
    const place = path.join(folders[random.below(folders.length)] ?? root, aName(random));
    if (lstatSync(place, { throwIfNoEntry: false }) === undefined) return inside(root, place);
  }
}

/** Overwrites a part of a file without changing its length. No link is followed. */
export function rewriteInPlace(file: string, bytes: Uint8Array, offset: number): void {
  const fd = openSync(file, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    writeSync(fd, bytes, 0, bytes.length, offset);
  } finally {
    closeSync(fd);
  }
}

type Edit = (root: string, random: Random) => string;

function pickOf(
  root: string,
  random: Random,
  isWanted: (one: string) => boolean,
): string | undefined {
  const list = objectsOf(root).filter(isWanted);
  const one = list.length === 0 ? undefined : list[random.below(list.length)];
  return one === undefined ? undefined : inside(root, one);
}

function anyFile(root: string, random: Random): string | undefined {
  return pickOf(root, random, isFile);
}

function anyFolder(root: string, random: Random): string | undefined {
  return pickOf(root, random, isFolder);
}

function anything(root: string, random: Random): string | undefined {
  return pickOf(root, random, () => true);
}

const nothing = 'nothing to change';
const short = (root: string, one: string): string => path.relative(root, one).slice(0, 40);

function moveTo(root: string, from: string, to: string): string {
  if (to.startsWith(`${from}/`)) return nothing;
  renameSync(from, to);
  return `rename ${short(root, from)} -> ${short(root, to)}`;
}

function swap(root: string, one: string, other: string): string {
  if (one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`)) return nothing;
  const aside = path.join(root, 'aside for a moment');
  renameSync(one, aside);
  renameSync(other, one);
  renameSync(aside, other);
  return `swap ${short(root, one)} and ${short(root, other)}`;
}

/** Renames of files and folders, in all combinations that interfere. */
const RENAMES: Readonly<Record<string, Edit>> = {
  rename: (root, random) => {
    const from = anything(root, random);
    return from === undefined ? nothing : moveTo(root, from, freePlace(root, random));
  },
  'rename of a folder': (root, random) => {
    const from = anyFolder(root, random);
    return from === undefined ? nothing : moveTo(root, from, freePlace(root, random));
  },
  swap: (root, random) => {
    const [one, other] = [anything(root, random), anything(root, random)];
    return one === undefined || other === undefined ? nothing : swap(root, one, other);
  },
  'swap of files': (root, random) => {
    const [one, other] = [anyFile(root, random), anyFile(root, random)];
    return one === undefined || other === undefined ? nothing : swap(root, one, other);
  },
  rotate: (root) => {
    const shelf = path.join(root, 'shelf');
    if (!existsSync(shelf) || !isFolder(shelf)) return nothing;
    const part = (i: number): string => path.join(shelf, `part.${i}`);
    let moved = 0;
    inside(root, part(0));
    for (let i = 40; i >= 0; i--) {
      if (!isThere(part(i)) || isThere(part(i + 1))) continue;
      renameSync(part(i), part(i + 1));
      moved++;
    }
    return `rotate ${moved} files`;
  },
  'rename over a file': (root, random) => {
    const [from, to] = [anyFile(root, random), anyFile(root, random)];
    if (from === undefined || to === undefined || from === to) return nothing;
    return moveTo(root, from, to);
  },
  'folder under the name of a renamed file': (root, random) => {
    const from = anyFile(root, random);
    if (from === undefined) return nothing;
    const to = freePlace(root, random);
    renameSync(from, to);
    mkdirSync(from);
    writeFileSync(path.join(from, 'inside'), random.bytes(100));
    return `folder under the old name ${short(root, from)}`;
  },
};

/** New, changed and removed content. */
const CHANGES: Readonly<Record<string, Edit>> = {
  'new file': (root, random) => {
    const file = freePlace(root, random);
    aFile(random, file);
    return `new ${short(root, file)}`;
  },
  'new folder': (root, random) => {
    const folder = freePlace(root, random);
    mkdirSync(folder);
    fill(random, folder, 3);
    return `new folder ${short(root, folder)}`;
  },
  'edit in place': (root, random) => {
    const file = anyFile(root, random);
    if (file === undefined || lstatSync(file).size === 0) return nothing;
    const { size } = lstatSync(file);
    const length = Math.min(size, 1 + random.below(3000));
    rewriteInPlace(file, random.bytes(length), random.below(size - length + 1));
    return `edit ${short(root, file)}`;
  },
  rewrite: (root, random) => {
    const file = anyFile(root, random);
    if (file === undefined) return nothing;
    writeFileSync(file, random.bytes(random.pick(SIZES)));
    return `rewrite ${short(root, file)}`;
  },
  append: (root, random) => {
    const file = anyFile(root, random);
    if (file === undefined) return nothing;
    appendFileSync(file, random.bytes(1 + random.below(6000)));
    return `append to ${short(root, file)}`;
  },
  cut: (root, random) => {
    const file = anyFile(root, random);
    if (file === undefined) return nothing;
    truncateSync(file, random.below(lstatSync(file).size + 1));
    return `cut ${short(root, file)}`;
  },
  remove: (root, random) => {
    const one = anything(root, random);
    if (one === undefined) return nothing;
    rmSync(one, { recursive: true });
    return `remove ${short(root, one)}`;
  },
  chmod: (root, random) => {
    const one = pickOf(root, random, isNoLink);
    if (one === undefined) return nothing;
    chmodSync(one, random.pick([0o700, 0o755, 0o750]));
    return `chmod ${short(root, one)}`;
  },
};

/** An object becomes one of another kind. */
const TYPE_CHANGES: Readonly<Record<string, Edit>> = {
  'new link target': (root, random) => {
    const link = pickOf(root, random, isLink);
    if (link === undefined) return nothing;
    rmSync(link);
    symlinkSync(`another target ${random.below(100)}`, link);
    return `retarget ${short(root, link)}`;
  },
  'file becomes a folder': (root, random) => {
    const file = anyFile(root, random);
    if (file === undefined) return nothing;
    rmSync(file);
    mkdirSync(file);
    fill(random, file, 4);
    return `folder instead of ${short(root, file)}`;
  },
  'folder becomes a link': (root, random) => {
    const folder = anyFolder(root, random);
    if (folder === undefined) return nothing;
    rmSync(folder, { recursive: true });
    symlinkSync('nowhere at all', folder);
    return `link instead of ${short(root, folder)}`;
  },
  'anything becomes a file': (root, random) => {
    const one = anything(root, random);
    if (one === undefined) return nothing;
    rmSync(one, { recursive: true });
    aFile(random, one);
    return `file instead of ${short(root, one)}`;
  },
};

/** All edits of a source. */
export const EDITS = {
  all: { ...RENAMES, ...CHANGES, ...TYPE_CHANGES },
  mostlyRenames: { ...RENAMES, append: CHANGES['append'], remove: CHANGES['remove'] },
  additions: { 'new file': CHANGES['new file'], 'new folder': CHANGES['new folder'] },
} as const satisfies Record<string, Readonly<Record<string, Edit | undefined>>>;

/** Makes a number of edits. Returns their descriptions, one line each. */
export function editSource(
  root: string,
  random: Random,
  { count, kinds = 'all' }: { readonly count: number; readonly kinds?: keyof typeof EDITS },
): string[] {
  const edits: readonly (Edit | undefined)[] = Object.values(EDITS[kinds]);
  return Array.from(
    { length: count },
    () => edits[random.below(edits.length)]?.(root, random) ?? nothing,
  ).filter((line) => line !== nothing);
}
