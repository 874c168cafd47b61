// Goal: listing in advance changes when a tree is read, never the result, and reads each folder
// once. Method: a tree in memory that counts, with the listing stopped after any number of folders.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FileError } from '../../src/errors.ts';
import { TreeAhead } from '../../src/tree/tree-ahead.ts';
import { walk } from '../../src/tree/walk.ts';
import { MemoryTree, type MemoryEntry } from '../support/memory-tree.ts';

class CountingTree extends MemoryTree {
  readonly looks: string[] = [];
  onLook: (count: number) => void = () => undefined;

  override children(directory: MemoryEntry): Promise<readonly MemoryEntry[]> {
    this.looks.push(Buffer.from(directory.path).toString());
    this.onLook(this.looks.length);
    return super.children(directory);
  }
}

function fill(tree: CountingTree): CountingTree {
  for (const folder of ['a', 'a/b', 'a/b/c', 'd', 'e', 'e/f']) {
    tree.addDirectory(folder);
    for (let i = 0; i < 100; i++) tree.addFile(`${folder}/${i}`, Buffer.from('x'));
  }
  return tree;
}

async function pathsOf(tree: MemoryTree | TreeAhead<MemoryEntry>): Promise<string[]> {
  const paths: string[] = [];
  for await (const part of walk(tree)) for (const { path } of part) paths.push(path.toString());
  return paths;
}

it('gives the same walk wherever it is stopped, and reads each folder once', async () => {
  const expected = await pathsOf(fill(new CountingTree()));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 8 }), fc.boolean(), async (stopAfter, waits) => {
      const tree = fill(new CountingTree());
      const ahead = new TreeAhead(tree);
      tree.onLook = (count) => {
        if (count >= stopAfter) ahead.stop();
      };
      if (stopAfter === 0) ahead.stop();
      const running = ahead.run();
      if (waits) {
        await running;
        expect(tree.looks.length).toBe(Math.min(stopAfter, 7));
      }
      expect(await pathsOf(ahead)).toEqual(expected);
      await running;
      expect([...tree.looks].sort()).toEqual(['.', 'a', 'a/b', 'a/b/c', 'd', 'e', 'e/f']);
    }),
    { numRuns: 30 },
  );
});

it('reports a failure to the caller of children(), and to nobody else', async () => {
  class Unreadable extends MemoryTree {
    override root(): Promise<MemoryEntry> {
      return Promise.reject(new FileError('open-failed', 'no such folder'));
    }
  }
  const ahead = new TreeAhead(new Unreadable());
  await ahead.run();
  await expect(ahead.root()).rejects.toMatchObject({ code: 'open-failed' });
});
