// Goal: many small files do not wait for each other, answers keep the order of the requests, and
// open files and bytes in memory stay bounded.
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { send } from '../../../src/rsync/send/sender.ts';
import type { OpenFile } from '../../../src/tree/entry.ts';
import { FakePeer, frame, Generator, greeting } from '../../support/fake-peer.ts';
import { MemoryTree } from '../../support/memory-tree.ts';
import { ARCHIVE, listAll } from '../../support/stock-rsync.ts';

/** Requests all files of a tree, the last one first, and records how they are opened. */
async function watch(
  count: number,
  size: number,
): Promise<{ openMost: number; order: string[]; expected: string[] }> {
  const tree = new MemoryTree();
  for (let i = 0; i < count; i++)
    tree.addFile(`f${String(i).padStart(5, '0')}`, Buffer.alloc(size));
  const entries = await listAll(tree);
  const peer = new FakePeer();
  const generator = new Generator();
  const wanted = entries
    .map((_, ndx) => ndx)
    .slice(1)
    .reverse();
  const requests = Buffer.concat(wanted.map((ndx) => generator.want(ndx)));
  const ends = Buffer.concat(Array.from({ length: 5 }, () => generator.done()));
  peer.say(greeting()).say(frame(0, requests)).say(frame(0, ends)).close();
  let open = 0;
  let openMost = 0;
  const order: string[] = [];
  await send(peer, {
    entries,
    open: async (entry): Promise<OpenFile> => {
      openMost = Math.max(openMost, ++open);
      const file = await tree.open(entry);
      await delay(Math.random() * 3);
      return {
        ...file,
        close: async () => {
          await delay(1);
          open--;
          return file.close();
        },
      };
    },
    options: ARCHIVE,
    onSent: (entry) => order.push(Buffer.from(entry.path).toString()),
  });
  expect(open).toBe(0);
  const expected = wanted.map((ndx) => Buffer.from(entries[ndx]?.path ?? []).toString());
  return { openMost, order, expected };
}

/** Forty files, and a peer that requests each of them and then one that does not exist. */
async function asksTooMuch() {
  const tree = new MemoryTree();
  for (let i = 0; i < 40; i++) tree.addFile(`f${i}`, Buffer.alloc(1000));
  const entries = await listAll(tree);
  const generator = new Generator();
  const requests = Buffer.concat(entries.slice(1).map((_, i) => generator.want(i + 1)));
  const peer = new FakePeer();
  peer.say(greeting()).say(frame(0, Buffer.concat([requests, generator.ndx(9999)])));
  return { tree, entries, peer };
}

describe('reading ahead', () => {
  it('opens many small files at a time and keeps the order of the requests', async () => {
    const { openMost, order, expected } = await watch(300, 100);
    expect(order).toEqual(expected);
    expect(openMost).toBeGreaterThan(8);
    expect(openMost).toBeLessThanOrEqual(128);
  });

  it('closes opened files when the connection breaks', async () => {
    const { tree, entries, peer } = await asksTooMuch();
    let open = 0;
    const sending = send(peer, {
      entries,
      open: async (entry): Promise<OpenFile> => {
        open++;
        await delay(5);
        const file = await tree.open(entry);
        return { ...file, close: () => Promise.resolve(open--).then(() => 'unchanged' as const) };
      },
      options: ARCHIVE,
    });
    setTimeout(() => peer.close(), 20);
    await expect(sending).rejects.toMatchObject({ code: 'ndx-out-of-range' });
    expect(open).toBe(0);
  });

  it('sends small files that were read whole in the order of the requests, and releases each', async () => {
    const tree = new MemoryTree();
    for (let i = 0; i < 300; i++) tree.addFile(`f${i}`, Buffer.from(`content ${i}`));
    const entries = await listAll(tree);
    const peer = new FakePeer();
    const generator = new Generator();
    const wanted = entries.map((_, ndx) => ndx).slice(1);
    const requests = Buffer.concat(wanted.map((ndx) => generator.want(ndx)));
    const ends = Buffer.concat(Array.from({ length: 5 }, () => generator.done()));
    peer.say(greeting()).say(frame(0, requests)).say(frame(0, ends)).close();
    let held = 0;
    const release = (): void => {
      held--;
    };
    let heldMost = 0;
    const order: string[] = [];
    const report = await send(peer, {
      entries,
      open: (entry) => tree.open(entry),
      // One in ten is opened by `open`.
      openWhole: (entry) => {
        if (Buffer.from(entry.path).toString().endsWith('3')) return undefined;
        heldMost = Math.max(heldMost, ++held);
        return { bytes: Buffer.alloc(entry.size, 7), release };
      },
      options: ARCHIVE,
      onSent: (entry) => order.push(Buffer.from(entry.path).toString()),
    });
    expect(order).toEqual(wanted.map((ndx) => Buffer.from(entries[ndx]?.path ?? []).toString()));
    expect(report.filesSent).toBe(300);
    expect(held).toBe(0);
    expect(heldMost).toBeGreaterThan(8);
    expect(heldMost).toBeLessThanOrEqual(128);
  });

  it('releases files that were read whole when the connection breaks, and withheld ones', async () => {
    const { tree, entries, peer } = await asksTooMuch();
    let held = 0;
    const release = (): void => {
      held--;
    };
    const sending = send(peer, {
      entries,
      open: (entry) => tree.open(entry),
      openWhole: (entry) => {
        held++;
        return { bytes: Buffer.alloc(entry.size), release };
      },
      withhold: (entry) => entry.path.length === 2,
      options: ARCHIVE,
    });
    setTimeout(() => peer.close(), 20);
    await expect(sending).rejects.toMatchObject({ code: 'ndx-out-of-range' });
    expect(held).toBe(0);
  });
});
