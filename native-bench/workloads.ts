import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

const MIB = 1024 * 1024;
const BLOCK = 4096;

/** How much of everything; `quick` is for a look, `full` for figures that are written down. */
export interface Scale {
  readonly largeFiles: number;
  readonly largeMiB: number;
  readonly smallFiles: number;
  readonly touchedMiB: number;
  /** Of a tree for what grows with the number of files. */
  readonly manyFiles: number;
  readonly hugeFiles: number;
}
export const FULL: Scale = {
  largeFiles: 2,
  largeMiB: 512,
  smallFiles: 50_000,
  touchedMiB: 512,
  manyFiles: 500_000,
  hugeFiles: 1_000_000,
};
export const QUICK: Scale = {
  largeFiles: 2,
  largeMiB: 64,
  smallFiles: 5_000,
  touchedMiB: 64,
  manyFiles: 20_000,
  hugeFiles: 40_000,
};

export interface Workload {
  readonly name: string;
  /** Which source folder it works on. */
  readonly source: 'large' | 'small' | 'touched' | 'renamed' | 'log' | 'many' | 'huge';
  /** Starts from nothing each time; otherwise from a finished push. */
  readonly first: boolean;
  /** A copy is restored, instead of made. */
  readonly restores?: true;
  /** Takes so long that it must be asked for: `--huge`. */
  readonly isHuge?: true;
  /** Changes the source before a round; the same change for all contenders. */
  change?(source: string, scale: Scale): void;
}

function writeRandom(file: string, mib: number): void {
  const fd = openSync(file, 'w');
  for (let i = 0; i < mib; i++) writeSync(fd, randomBytes(MIB));
  closeSync(fd);
}

/** Files of a few bytes, a hundred to a folder. */
function writeMany(folder: string, count: number): void {
  for (let i = 0; i < count; i++) {
    const parent = path.join(
      folder,
      `group ${Math.floor(i / 10_000)}`,
      `folder ${Math.floor(i / 100)}`,
    );
    if (i % 100 === 0) mkdirSync(parent, { recursive: true });
    writeFileSync(path.join(parent, `file ${i}`), `${i}\n`);
  }
}

/** Makes a source folder. */
export function makeSource(kind: Workload['source'], folder: string, scale: Scale): void {
  mkdirSync(folder, { recursive: true });
  switch (kind) {
    case 'large':
      for (let i = 0; i < scale.largeFiles; i++)
        writeRandom(path.join(folder, `large ${i}`), scale.largeMiB);
      break;
    case 'small':
      for (let i = 0; i < scale.smallFiles; i++) {
        const parent = path.join(folder, `folder ${Math.floor(i / 100)}`);
        if (i % 100 === 0) mkdirSync(parent);
        // 1 … 10 KiB, on average what gives 268 MB for 50,000 files
        writeFileSync(path.join(parent, `file ${i}`), randomBytes(512 + ((i * 7919) % 9700)));
      }
      break;
    case 'touched':
      writeRandom(path.join(folder, 'image'), scale.touchedMiB);
      break;
    case 'log':
      writeRandom(path.join(folder, 'log'), scale.touchedMiB);
      break;
    case 'many':
      writeMany(folder, scale.manyFiles);
      break;
    case 'huge':
      writeMany(folder, scale.hugeFiles);
      break;
    case 'renamed':
      mkdirSync(path.join(folder, 'before'));
      for (let i = 0; i < 100; i++)
        writeFileSync(path.join(folder, 'before', `photo ${i}`), randomBytes(100_000));
      writeRandom(path.join(folder, 'other'), 16);
      break;
  }
}

/** Overwrites 1 % of the 4 KiB blocks of a file, scattered. */
function touchOnePercent(source: string, scale: Scale): void {
  const fd = openSync(path.join(source, 'image'), 'r+');
  const blocks = (scale.touchedMiB * MIB) / BLOCK;
  for (let i = 0; i < blocks / 100; i++) {
    const block = Math.floor(Math.random() * blocks);
    writeSync(fd, randomBytes(BLOCK), 0, BLOCK, block * BLOCK);
  }
  closeSync(fd);
}

/** A megabyte and a bit at the end. */
function appendToLog(source: string): void {
  appendFileSync(path.join(source, 'log'), randomBytes(MIB + 1234));
}

let renamed = false;
function renameFolder(source: string): void {
  const names = ['before', 'after'].map((name) => path.join(source, name));
  const [from = '', to = ''] = renamed ? names.reverse() : names;
  renameSync(from, to);
  renamed = !renamed;
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'first push, large files', source: 'large', first: true },
  { name: 'first push, small files', source: 'small', first: true },
  { name: 'nothing changed, small files', source: 'small', first: false },
  { name: '1 % of the blocks touched', source: 'touched', first: false, change: touchOnePercent },
  { name: '1 MB appended to a log', source: 'log', first: false, change: appendToLog },
  { name: 'a folder of 10 MB renamed', source: 'renamed', first: false, change: renameFolder },
  { name: 'restore, large files', source: 'large', first: true, restores: true },
  { name: 'restore, small files', source: 'small', first: true, restores: true },
  { name: 'nothing changed, many files', source: 'many', first: false, isHuge: true },
  { name: 'nothing changed, a huge tree', source: 'huge', first: false, isHuge: true },
];
