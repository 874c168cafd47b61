// Goal: many files of a remote come in one run, each to its reader, whatever the reader does with it
// and whatever happened to them since they were listed.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { remoteContents, type ContentReader } from '../../../src/sync/copy/content-source.ts';
import { RemoteTree } from '../../../src/sync/copy/remote-tree.ts';
import type { RemoteSource } from '../../../src/sync/copy/remote-tree-run.ts';
import { localCommands } from '../../../src/transport/child.ts';
import type { FlistEntry } from '../../../src/rsync/flist/decode.ts';
import { isRegularFile } from '../../../src/tree/entry.ts';
import { noise } from '../../support/hard-tree.ts';
import { scratchFolder } from '../../support/stock-rsync.ts';

const LARGE = noise(5_000_000, 1);

function makeFolder(): string {
  const folder = scratchFolder();
  fs.mkdirSync(join(folder, 'sub'));
  fs.writeFileSync(join(folder, 'large'), LARGE);
  fs.writeFileSync(join(folder, 'empty'), '');
  for (let i = 0; i < 20; i++) fs.writeFileSync(join(folder, `sub/${i}`), noise(1000 + i, i + 1));
  return folder;
}

async function listed(folder: string): Promise<{
  source: RemoteSource;
  wanted: Map<string, FlistEntry>;
}> {
  const source: RemoteSource = {
    remote: localCommands(),
    path: `${folder}/`,
    rsyncPath: 'rsync',
    timeoutSec: 30,
    protocolMax: 32,
    signal: new AbortController().signal,
  };
  const tree = await RemoteTree.list(source);
  const wanted = new Map<string, FlistEntry>();
  const root = await tree.root();
  for (const entry of await tree.children(root)) {
    const files = isRegularFile(entry) ? [entry] : await tree.children(entry);
    for (const file of files) wanted.set(Buffer.from(file.path).toString('latin1'), file);
  }
  return { source, wanted };
}

/** Reads so many bytes of each file in steps, and notes what came of it. */
function noting(lengthMax: number): {
  reader: ContentReader<FlistEntry>;
  read: Map<string, Buffer>;
  states: Map<string, string>;
} {
  const read = new Map<string, Buffer>();
  const states = new Map<string, string>();
  const reader: ContentReader<FlistEntry> = {
    read: async ({ path }, file) => {
      const key = Buffer.from(path).toString('latin1');
      const pieces: Buffer[] = [];
      for (let at = 0; at < Math.min(file.size, lengthMax); at += 70_000) {
        pieces.push(Buffer.from(await file.read(at, 70_000)));
      }
      const state = await file.close();
      return () => {
        read.set(key, Buffer.concat(pieces));
        states.set(key, state);
      };
    },
    fail: ({ path }, error) => states.set(Buffer.from(path).toString('latin1'), error.code),
  };
  return { reader, read, states };
}

describe('files of a remote', () => {
  it('come in one run, each as it is', async () => {
    const folder = makeFolder();
    const { source, wanted } = await listed(folder);
    const { reader, read, states } = noting(Infinity);
    const traffic: number[] = [];
    await remoteContents(source, ({ bytesReceived }) => traffic.push(bytesReceived)).readAll(
      wanted,
      reader,
    );
    expect(read.size).toBe(22);
    for (const [key, bytes] of read) {
      expect(bytes.equals(fs.readFileSync(join(folder, key)))).toBe(true);
      expect(states.get(key)).toBe('unchanged');
    }
    expect(traffic.length).toBe(1);
    expect(traffic[0]).toBeGreaterThan(LARGE.length);
    expect(traffic[0]).toBeLessThan(LARGE.length * 1.1);
  });

  it('need not be read to their end', async () => {
    const { source, wanted } = await listed(makeFolder());
    const { reader, read } = noting(10);
    await remoteContents(source, () => undefined).readAll(wanted, reader);
    expect(read.get('large')?.equals(LARGE.subarray(0, 70_000))).toBe(true);
    expect(read.size).toBe(22);
  });

  it('that changed or vanished since the listing are told apart', async () => {
    const folder = makeFolder();
    const { source, wanted } = await listed(folder);
    fs.rmSync(join(folder, 'sub/3'));
    fs.appendFileSync(join(folder, 'sub/4'), 'more');
    fs.truncateSync(join(folder, 'large'), 100_000);
    const { reader, read, states } = noting(Infinity);
    await remoteContents(source, () => undefined).readAll(wanted, reader);
    expect(states.get('sub/3')).toBe('vanished');
    expect(states.get('sub/4')).toBe('changed');
    expect(states.get('large')).toBe('changed');
    expect(read.get('large')?.length).toBe(100_000);
    expect(states.get('sub/5')).toBe('unchanged');
    expect(states.size).toBe(22);
  });
});
