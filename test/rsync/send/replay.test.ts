// Goal: in a captured conversation we answer the stock server exactly as the stock client did, byte
// for byte, however the server's bytes arrive. A server that stops anywhere before its last byte is
// a failure, never an end.
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkSource } from '../../../src/bytes/chunk-source.ts';
import { EcsyncError } from '../../../src/errors.ts';
import { readFilterList } from '../../../src/rsync/flist/filter-list.ts';
import { readFlist } from '../../../src/rsync/flist/decode.ts';
import type { FlistFormat } from '../../../src/rsync/flist/format.ts';
import { sortFlist } from '../../../src/rsync/flist/sort.ts';
import { MultiplexReader } from '../../../src/rsync/wire/multiplex.ts';
import { send } from '../../../src/rsync/send/sender.ts';
import type { SendReport } from '../../../src/rsync/send/send-job.ts';
import { FakePeer } from '../../support/fake-peer.ts';
import { MemoryTree, type MemoryEntry } from '../../support/memory-tree.ts';
import { ARCHIVE } from '../../support/stock-rsync.ts';

interface Captured {
  protocol: number;
  checksum: string;
  server: string;
  client: string;
  entries: {
    path: string;
    mode: number;
    size: number;
    mtimeSec: number;
    mtimeNsec: number;
    linked: boolean;
    target?: string;
    content?: string;
  }[];
}

function load(protocol: number): Captured {
  const url = new URL(`../../../fixtures/wire/push-${protocol}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Captured;
}

/** The tree that was sent; the content of the long file is generated. */
function treeOf({ entries, protocol }: Captured): MemoryEntry[] {
  return entries.map(({ path, content, target, linked, ...facts }) => ({
    ...facts,
    path: Buffer.from(path),
    uid: 0,
    gid: 0,
    ...(target !== undefined && { target: Buffer.from(target) }),
    ...(linked && protocol >= 30 && { linkGroup: 1 }),
    content:
      content === undefined ? Buffer.alloc(facts.size, 'long ') : Buffer.from(content, 'hex'),
  }));
}

function optionsOf({ protocol }: Captured): typeof ARCHIVE {
  return {
    ...ARCHIVE,
    protocolMax: protocol,
    owner: false,
    group: false,
    hardLinks: protocol >= 30,
    deleteAfter: true,
  };
}

async function replay(
  captured: Captured,
  say: (peer: FakePeer, bytes: Buffer) => void,
): Promise<{ heard: Buffer; report: SendReport }> {
  const peer = new FakePeer();
  say(peer, Buffer.from(captured.server, 'hex'));
  peer.close();
  const tree = new MemoryTree();
  const report = await send(peer, {
    entries: treeOf(captured),
    open: (entry) => tree.open(entry),
    options: optionsOf(captured),
  });
  return { heard: Buffer.concat(peer.heard), report };
}

/** The bytes after version and checksum names, without framing. */
async function streamOf(heard: Buffer, protocol: number): Promise<Buffer> {
  if (protocol < 30) return heard.subarray(4);
  const stream = new PassThrough();
  stream.end(heard.subarray(5 + (heard[4] ?? 0)));
  const reader = new MultiplexReader(new ChunkSource(stream), () => undefined);
  reader.startMultiplex();
  while (await reader.fill());
  return reader.stream.rest();
}

/** The filter rules, the list in index order, and all bytes after it. */
async function dissect(bytes: Buffer, { protocol }: Captured): Promise<object> {
  const format: FlistFormat = {
    protocol,
    varintFlags: protocol >= 30,
    safeEnd: protocol >= 30,
    id0Names: protocol >= 30,
    links: true,
    owner: false,
    group: false,
    devices: true,
    specials: true,
    hardLinks: protocol >= 30,
    numericIds: true,
    checksumLength: 0,
  };
  const stream = new PassThrough();
  stream.end(bytes);
  const reader = new MultiplexReader(new ChunkSource(stream), () => undefined);
  const rules = await readFilterList(reader, protocol);
  const { entries, ioError } = await readFlist(reader, format);
  while (await reader.fill());
  const list = sortFlist(entries, protocol).map(({ linkGroup, ...facts }) => ({
    ...facts,
    path: Buffer.from(facts.path).toString(),
    target: facts.target && Buffer.from(facts.target).toString(),
    linked: linkGroup !== undefined,
  }));
  return { rules, list, ioError, rest: reader.stream.rest().toString('hex') };
}

describe.each([29, 30, 31, 32])('a captured conversation of protocol %i', (protocol) => {
  const captured = load(protocol);

  it('is replayed as the stock client ran it', async () => {
    const { heard, report } = await replay(captured, (peer, bytes) => peer.say(bytes));
    const ours = await dissect(await streamOf(heard, protocol), captured);
    const theirs = await dissect(Buffer.from(captured.client, 'hex'), captured);
    expect(ours).toEqual(theirs);
    expect(report).toMatchObject({ protocol, checksumName: captured.checksum, ioError: 0 });
    expect(report.matchedBytes).toBeGreaterThan(5000);
    if (protocol >= 31) expect(report.deleted).toMatchObject({ files: 1, dirs: 1 });
  });

  it('is the same byte by byte and in random pieces', async () => {
    const whole = await replay(captured, (peer, bytes) => peer.say(bytes));
    const expected = await streamOf(whole.heard, protocol);
    const inBytes = await replay(captured, (peer, bytes) => peer.sayInPieces(bytes, 1));
    expect((await streamOf(inBytes.heard, protocol)).equals(expected)).toBe(true);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        async (cuts) => {
          const pieces = await replay(captured, (peer, bytes) => {
            for (let i = 0, n = 0; i < bytes.length; n++) {
              const length = cuts[n % cuts.length] ?? 1;
              peer.say(bytes.subarray(i, i + length));
              i += length;
            }
          });
          expect((await streamOf(pieces.heard, protocol)).equals(expected)).toBe(true);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('fails if it ends early anywhere', async () => {
    const length = captured.server.length / 2;
    const codes = new Set<string>();
    for (let end = 0; end < length; end++) {
      const error: unknown = await replay(captured, (peer, bytes) =>
        peer.say(bytes.subarray(0, end)),
      ).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(EcsyncError);
      codes.add((error as EcsyncError).code);
    }
    expect([...codes].sort()).toEqual(['connection-lost', 'no-greeting']);
  });
});
