/** The rooms of src/: their table, their size, and the first sentence of each file. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const ROOMS = createRequire(import.meta.url)('../scripts/rooms.cjs') as Record<string, string>;
const FILES_MAX = 30;

/** Paths below src/ of all its files. */
const files = readdirSync(path.join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => path.relative(path.join(root, 'src'), path.join(entry.parentPath, entry.name)));

function read(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

describe('the rooms', () => {
  it('are the folders of src/', () => {
    const folders = new Set(files.map((file) => path.dirname(file)).filter((one) => one !== '.'));
    expect([...folders].sort()).toEqual(Object.keys(ROOMS).sort());
  });

  it('hold no more files than one looks through', () => {
    const crowded = Object.keys(ROOMS).filter(
      (room) => files.filter((file) => path.dirname(file) === room).length > FILES_MAX,
    );
    expect(crowded).toEqual([]);
  });

  it('import only rooms above them in the table', () => {
    const back = Object.entries(ROOMS).flatMap(([room, allowed], at, all) =>
      allowed
        .split(' ')
        .filter((one) => one !== '')
        .filter((one) => {
          const isHall = one.endsWith('/*');
          const hall = one.slice(0, -2);
          const meant = all.flatMap(([other], index) =>
            (isHall ? other === hall || other.startsWith(`${hall}/`) : other === one)
              ? [index]
              : [],
          );
          return meant.length === 0 || meant.some((index) => index >= at);
        })
        .map((one) => `${room} > ${one}`),
    );
    expect(back).toEqual([]);
  });

  it('are those of ARCHITECTURE.md, in the same order', () => {
    const told = [...read('ARCHITECTURE.md').matchAll(/^\| `src\/(\S+)\/`/gm)].map(
      ([, room]) => room,
    );
    expect(told).toEqual(Object.keys(ROOMS));
  });
});

describe('every file of src/', () => {
  it('opens with a sentence that says what it is', () => {
    const sources = files.filter((file) => file.endsWith('.ts'));
    const silent = sources.filter(
      (file) => !/^(#!.*\n)?(\/\*\*\s+(\* )?\S|\/\/ \S)/.test(read(path.join('src', file))),
    );
    expect(silent).toEqual([]);
  });
});
