/** What somebody who controls the storage can do to the holes of files, and to files by making some. */
import fs from 'node:fs';
import { at, before, blockOf, edit, HEADER, keepingTime, type Mutation } from './tampered-copy.ts';

/** A sparse file that the second push has edited. */
export const SPARSE = 'docs/sparse';
export const SPARSE_BLOCKS = 384;
/** Blocks with content; all others are holes. */
export const SPARSE_FIRST: readonly number[] = [0, 1, 50, 100, 101, 102, 150, 151, 152, 383];
export const SPARSE_SECOND: readonly number[] = [0, 1, 100, 101, 102, 152, 200, 383];

/** Changes blocks of the sparse file, or of another one. */
function blocks(change: (block: (number: number) => Buffer) => void, file = SPARSE): Mutation {
  return (copy) =>
    edit(at(copy, file), (bytes) => {
      change((number) => blockOf(bytes, number, copy.block));
      return undefined;
    });
}

/** Puts blocks of the earlier version in place of those that are there. */
function earlier(...numbers: readonly number[]): Mutation {
  return (copy) => {
    const old = fs.readFileSync(before(copy, SPARSE));
    blocks((block) => {
      for (const number of numbers) blockOf(old, number, copy.block).copy(block(number));
    })(copy);
  };
}

function cutTo(count: number): Mutation {
  return (copy) => {
    const file = at(copy, SPARSE);
    keepingTime(file, () => fs.truncateSync(file, HEADER + count * copy.block));
  };
}

export const HOLE_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'a hole in a file without holes': blocks((block) => {
    for (const number of [1, 2, 3]) block(number).fill(0);
  }, 'large-4'),
  'a hole at the end of a file without holes': blocks((block) => block(2).fill(0), 'even'),
  'a hole longer at its start': blocks((block) => block(1).fill(0)),
  'a hole longer at its end': blocks((block) => block(100).fill(0)),
  'two holes made one': blocks((block) => {
    for (const number of [100, 101, 102]) block(number).fill(0);
  }),
  'a hole longer by a block put in': (copy) =>
    edit(at(copy, SPARSE), (bytes) => {
      const there = HEADER + 20 * copy.block;
      return Buffer.concat([
        bytes.subarray(0, there),
        Buffer.alloc(copy.block),
        bytes.subarray(there),
      ]);
    }),
  'a hole shorter by a block taken out': (copy) =>
    edit(at(copy, SPARSE), (bytes) =>
      Buffer.concat([
        bytes.subarray(0, HEADER + 20 * copy.block),
        bytes.subarray(HEADER + 21 * copy.block),
      ]),
    ),
  'a block of a hole filled with garbage': blocks((block) => block(20).fill(7)),
  'a block of a hole filled with another one': blocks((block) => block(0).copy(block(20))),
  'a block of a hole filled with its earlier content': earlier(50),
  'a hole filled with its earlier content': earlier(150, 151),
  'a hole moved': blocks((block) => {
    for (const number of [100, 101, 102]) {
      block(number).copy(block(number - 3));
      block(number).fill(0);
    }
  }),
  'cut inside a hole': cutTo(300),
  'cut at the start of a hole': cutTo(201),
  'a hole more at the end of a sparse file': cutTo(SPARSE_BLOCKS + 10),
  'a hole rolled back with the block behind it': earlier(200, 383),
};
