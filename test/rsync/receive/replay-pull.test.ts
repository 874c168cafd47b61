// Goal: in a captured conversation we send the stock server the same requests as the stock client,
// and store the same result, however the server's bytes arrive. A server that stops anywhere before
// its last byte is a failure, never an end.
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/bytes/byte-reader.ts';
import { ChunkSource } from '../../../src/bytes/chunk-source.ts';
import { EcsyncError } from '../../../src/errors.ts';
import { readFilterList } from '../../../src/rsync/flist/filter-list.ts';
import type { FlistEntry } from '../../../src/rsync/flist/decode.ts';
import { sortFlist } from '../../../src/rsync/flist/sort.ts';
import { readVarint, readVstring } from '../../../src/rsync/wire/integers.ts';
import { MemoryStore } from '../../../src/rsync/receive/memory-store.ts';
import { MultiplexReader } from '../../../src/rsync/wire/multiplex.ts';
import { pull } from '../../../src/rsync/receive/pull.ts';
import type { PullReport } from '../../../src/rsync/receive/pull-plan.ts';
import { receiveList } from '../../../src/rsync/receive/receive-list.ts';
import { RequestReader } from '../../../src/rsync/send/requests.ts';
import { isDirectory, type Entry } from '../../../src/tree/entry.ts';
import type { Store } from '../../../src/tree/store.ts';
import { FakePeer } from '../../support/fake-peer.ts';
import { ARCHIVE, scratchFolder } from '../../support/stock-rsync.ts';
import { storeAt } from '../../support/stock-sender.ts';

interface Captured {
  protocol: number;
  checksum: string;
  before: Record<string, string>;
  after: { path: string; mode: number; mtimeMs: number; target?: string; content?: string }[];
  server: string;
  client: string;
}

function load(protocol: number): Captured {
  const url = new URL(`../../../fixtures/wire/pull-${protocol}.json`, import.meta.url);
  return JSON.parse(fs.readFileSync(url, 'utf8')) as Captured;
}

const optionsOf = ({ protocol }: Captured): typeof ARCHIVE => ({
  ...ARCHIVE,
  protocolMax: protocol,
  owner: false,
  group: false,
  hardLinks: protocol >= 30,
});

/** Bytes of the server before its first frame. */
function greetingLength(bytes: Buffer, protocol: number): number {
  const reader = new ByteReader(bytes);
  reader.int32();
  if (protocol >= 30) {
    readVarint(reader);
    readVstring(reader, 255, 'names');
  }
  reader.int32();
  return bytes.length - reader.available;
}

function readerOf(bytes: Buffer, isFramed: boolean): MultiplexReader {
  const stream = new PassThrough();
  stream.end(bytes);
  const reader = new MultiplexReader(new ChunkSource(stream), () => undefined);
  if (isFramed) reader.startMultiplex();
  return reader;
}

/** The list, and its length in the server's bytes. */
async function listOf(captured: Captured): Promise<{ entries: FlistEntry[]; length: number }> {
  const { protocol } = captured;
  const server = Buffer.from(captured.server, 'hex');
  const session = {
    protocol,
    compatFlags: protocol >= 30 ? 0x1fe : 0,
    checksumName: 'md5',
    seed: 0,
  };
  let length = greetingLength(server, protocol);
  const start = length;
  for (;;) {
    length += 4 + (server.readUInt32LE(length) & 0xffffff);
    const reader = readerOf(server.subarray(start, length), true);
    const options = optionsOf(captured);
    const list = await receiveList(reader, {
      session: session as Parameters<typeof receiveList>[1]['session'],
      options,
    }).catch(() => undefined);
    if (list !== undefined) return { entries: sortFlist(list.entries, protocol), length };
  }
}

/** A client's requests as text, from its stream after the greeting. */
async function asked(
  reader: MultiplexReader,
  { protocol }: Captured,
  entries: readonly FlistEntry[],
): Promise<string[]> {
  await readFilterList(reader, protocol);
  const requests = new RequestReader(reader, { protocol, dryRun: false, entries });
  const sent: string[] = [];
  for (let done = 0; done < 2;) {
    const request = await requests.next();
    if (request.kind === 'done') {
      done++;
      continue;
    }
    const path = Buffer.from(request.entry.path).toString();
    const flags = request.attributes.iflags.toString(16);
    const xname = Buffer.from(request.attributes.xname ?? []).toString();
    sent.push(`${path} ${flags} ${xname}`);
    if (request.kind !== 'transfer') continue;
    const { head, sums } = request;
    const weak = Array.from({ length: head.count }, (_, i) => sums?.weak(i));
    sent.push(`${path} ${JSON.stringify(head)} ${weak.join()}`);
  }
  return sent.sort();
}

/** Waits until the bytes received by a peer meet a condition. */
async function heard(
  peer: FakePeer,
  isComplete: (bytes: Buffer) => Promise<boolean>,
): Promise<void> {
  let bytes = -1;
  for (;;) {
    await setImmediate();
    if (bytes === peer.heardBytes) continue;
    bytes = peer.heardBytes;
    if (await isComplete(Buffer.concat(peer.heard))) return;
  }
}

type Say = (peer: FakePeer, bytes: Buffer) => void;

async function replay<E extends Entry>(
  captured: Captured,
  { store, say, end }: { store: Store<E>; say: Say; end?: number },
): Promise<{ report: PullReport; asked: string[] }> {
  const { protocol } = captured;
  const { entries, length } = await listOf(captured);
  const server = Buffer.from(captured.server, 'hex').subarray(0, end);
  const streamOf = (heard: Buffer): MultiplexReader => {
    const start = protocol < 30 ? 4 : 5 + (heard[4] ?? 0);
    return readerOf(heard.subarray(start), protocol >= 30);
  };
  // The first NDX_DONE follows the last request; an incomplete request makes the reader fail.
  const isComplete = async (heard: Buffer): Promise<boolean> => {
    const reader = streamOf(heard);
    try {
      await readFilterList(reader, protocol);
      const requests = new RequestReader(reader, { protocol, dryRun: false, entries });
      while ((await requests.next()).kind !== 'done');
      return true;
    } catch {
      return false;
    }
  };
  const peer = new FakePeer();
  say(peer, server.subarray(0, length));
  if (server.length <= length) peer.close();
  else {
    // Answers come after all requests, as in the capture; earlier ones would be errors.
    void heard(peer, isComplete).then(() => {
      say(peer, server.subarray(length));
      peer.close();
    });
  }
  const report = await pull<E>(peer, { options: optionsOf(captured), paths: ['source/'], store });
  return { report, asked: await asked(streamOf(Buffer.concat(peer.heard)), captured, entries) };
}

function targetOf({ before }: Captured): string {
  const target = scratchFolder();
  fs.chmodSync(target, 0o755);
  for (const [name, content] of Object.entries(before)) {
    fs.writeFileSync(join(target, name), Buffer.from(content, 'hex'));
  }
  return target;
}

function assertEqual(captured: Captured, target: string): void {
  for (const { path, mode, mtimeMs, content, target: link } of captured.after) {
    const full = join(target, path);
    const stats = fs.lstatSync(full);
    expect(stats.mode, path).toBe(mode);
    const isWhole = captured.protocol < 31;
    expect(isWhole ? Math.floor(stats.mtimeMs / 1000) * 1000 : stats.mtimeMs, path).toBe(
      isWhole ? Math.floor(mtimeMs / 1000) * 1000 : mtimeMs,
    );
    if (content !== undefined) expect(fs.readFileSync(full).toString('hex'), path).toBe(content);
    if (link !== undefined) expect(fs.readlinkSync(full)).toBe(link);
    expect(fs.readdirSync(dirname(full)).filter((name) => name.startsWith('.'))).toEqual([]);
  }
}

describe.each([27, 29, 30, 31, 32])('a captured pull of protocol %i', (protocol) => {
  const captured = load(protocol);

  async function storeAndCheck(say: Say): Promise<{ report: PullReport; asked: string[] }> {
    const target = targetOf(captured);
    const store = storeAt(target);
    const result = await replay(captured, { store, say });
    store.close();
    assertEqual(captured, target);
    return result;
  }

  it('is replayed as the stock client ran it', async () => {
    const { report, asked: ours } = await storeAndCheck((peer, bytes) => peer.say(bytes));
    const { entries } = await listOf(captured);
    const theirs = await asked(
      readerOf(Buffer.from(captured.client, 'hex'), false),
      captured,
      entries,
    );
    expect(ours).toEqual(theirs);
    const files = entries.filter((entry) => !isDirectory(entry) && entry.target === undefined);
    expect(report).toMatchObject({
      protocol,
      checksumName: captured.checksum,
      listed: entries.length,
      filesReceived: new Set(files.map((entry) => entry.linkGroup ?? entry)).size,
      problems: 0,
      ioError: 0,
    });
    expect(report.matchedBytes).toBeGreaterThan(5000);
    expect(report.bytesReceived).toBe(captured.server.length / 2);
  });

  it('is the same byte by byte and in random pieces', async () => {
    await storeAndCheck((peer, bytes) => peer.sayInPieces(bytes, 1));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        async (cuts) => {
          await storeAndCheck((peer, bytes) => {
            for (let i = 0, n = 0; i < bytes.length; n++) {
              const length = cuts[n % cuts.length] ?? 1;
              peer.say(bytes.subarray(i, i + length));
              i += length;
            }
          });
        },
      ),
      { numRuns: 15 },
    );
  });

  it('fails if it ends early anywhere', async () => {
    const length = captured.server.length / 2;
    const codes = new Set<string>();
    const { length: listed } = await listOf(captured);
    // Every position in the list and in the goodbye, and every third one in between.
    for (let end = 0; end < length; end += end > listed && end < length - 50 ? 3 : 1) {
      const target = end > listed ? targetOf(captured) : undefined;
      const store = target === undefined ? undefined : storeAt(target);
      const memory = new MemoryStore({ lengthMax: 1e6, totalMax: 1e6 });
      const say: Say = (peer, bytes) => peer.say(bytes);
      const run: Promise<unknown> =
        store === undefined
          ? replay(captured, { store: memory, say, end })
          : replay(captured, { store, say, end });
      const error: unknown = await run.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error, `after ${end} of ${length} bytes`).toBeInstanceOf(EcsyncError);
      codes.add((error as EcsyncError).code);
      store?.close();
      if (target === undefined) continue;
      expect(fs.readdirSync(target).filter((name) => name.startsWith('.'))).toEqual([]);
      fs.rmSync(target, { recursive: true });
    }
    expect([...codes].sort()).toEqual(['connection-lost', 'no-greeting']);
  });
});
