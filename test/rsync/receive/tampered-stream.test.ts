// Goal: a conversation that is cut, split or damaged in transit never passes for a complete one.
// Method: our own sender talks to our server through a stream that changes the bytes.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TransferOptions } from '../../../src/rsync/wire/options.ts';
import { send } from '../../../src/rsync/send/sender.ts';
import { serve } from '../../../src/rsync/receive/server.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { LocalStore } from '../../../src/tree/target/local-store.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { walk } from '../../../src/tree/walk.ts';
import { duplexPair } from '../../../src/transport/pair.ts';
import { ARCHIVE } from '../../support/stock-rsync.ts';
import { Bench, snapshot } from './support.ts';

let bench: Bench;
let outside: string;
beforeEach(() => {
  bench = new Bench();
  outside = join(bench.root, 'outside');
  fs.mkdirSync(outside);
  fs.writeFileSync(join(outside, 'precious'), 'precious');
});
afterEach(() => bench.remove());

const PLAIN: TransferOptions = { ...ARCHIVE, owner: false, group: false };
const HABITS = { users: new Map<string, number>(), groups: new Map<string, number>() };

/** Our own sender, with its bytes changed in transit. */
async function tamperedPush(change: Transform): Promise<number> {
  const tree = new LocalTree(bench.source);
  const entries: LocalEntry[] = [];
  for await (const part of walk(tree)) entries.push(...part);
  const [near, far] = duplexPair();
  change.pipe(near.output);
  change.on('error', () => undefined);
  const store = new LocalStore(bench.ours, { durable: false });
  const serving = serve(far, store, {
    transfer: PLAIN,
    localDefaults: HABITS,
    onStderr: () => undefined,
    seed: 1,
  });
  const sending = send(
    { input: near.input, output: change },
    { entries, options: PLAIN, open: (entry) => tree.open(entry), onItem: () => undefined },
  ).catch(() => undefined);
  const stall = setTimeout(() => {
    near.output.destroy();
    near.input.destroy();
  }, 1000);
  const status = await serving;
  near.input.destroy();
  near.output.destroy();
  change.destroy();
  await sending;
  clearTimeout(stall);
  store.close();
  return status;
}

/** Passes on chunks as divided by `split`. */
function passing(split: (chunk: Buffer, offset: number) => Buffer[]): Transform {
  let offset = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (const piece of split(chunk, offset)) this.push(piece);
      offset += chunk.length;
      done();
    },
  });
}

describe('the stream', () => {
  beforeEach(() => {
    bench.prepare(
      'mkdir d; echo hello > a; head -c 3000 /dev/urandom > d/b; ln -s a l; echo x > d/c',
    );
  });
  const reset = (): void => {
    fs.rmSync(bench.ours, { recursive: true });
    fs.mkdirSync(bench.ours);
  };

  it('arrives the same whole, byte by byte, and in uneven pieces', async () => {
    const cuts = [
      (chunk: Buffer) => [chunk],
      (chunk: Buffer) => Array.from({ length: chunk.length }, (_, i) => chunk.subarray(i, i + 1)),
      (chunk: Buffer) => {
        const pieces: Buffer[] = [];
        for (let at = 0; at < chunk.length;) {
          const length = 1 + ((at * 7 + pieces.length) % 40);
          pieces.push(chunk.subarray(at, at + length));
          at += length;
        }
        return pieces;
      },
    ];
    for (const cut of cuts) {
      reset();
      expect(await tamperedPush(passing(cut))).toBe(0);
      expect(await snapshot(bench.ours)).toEqual(await snapshot(bench.source));
    }
  });

  it('cut short at any byte, it is never a success, and no file is partial', async () => {
    const whole = await snapshot(bench.source);
    let cutAt = 1;
    for (let status = 1; status !== 0; cutAt += cutAt < 200 ? 7 : 97) {
      reset();
      const limit = cutAt;
      const cutting = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          const left = limit - bytesSeen;
          bytesSeen += chunk.length;
          if (left > 0) this.push(chunk.subarray(0, left));
          if (bytesSeen > limit) this.push(null);
          done();
        },
      });
      let bytesSeen = 0;
      status = await tamperedPush(cutting);
      if (bytesSeen > limit) expect(status).not.toBe(0);
      for (const [path, facts] of Object.entries(await snapshot(bench.ours))) {
        if (facts.startsWith('100'))
          expect(facts.split(' ').at(-1)).toBe(whole[path]?.split(' ').at(-1));
      }
      if (bytesSeen <= limit) break;
    }
    expect(cutAt).toBeGreaterThan(3000);
  });

  it('with a byte changed anywhere, it ends, and nothing outside the folder is touched', async () => {
    const before = await snapshot(outside);
    const property = fc.asyncProperty(
      fc.nat(3600),
      fc.integer({ min: 1, max: 255 }),
      async (at, xor) => {
        reset();
        const change = passing((chunk, offset) => {
          const copy = Buffer.from(chunk);
          if (at >= offset && at < offset + chunk.length)
            copy[at - offset] = (copy[at - offset] ?? 0) ^ xor;
          return [copy];
        });
        expect(await tamperedPush(change)).toBeTypeOf('number');
        expect(await snapshot(outside)).toEqual(before);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });
});
