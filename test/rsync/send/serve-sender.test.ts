import { PassThrough } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { LISTING, senderArgs, type TransferOptions } from '../../../src/rsync/wire/options.ts';
import { pull } from '../../../src/rsync/receive/pull.ts';
import type { PullReport } from '../../../src/rsync/receive/pull-plan.ts';
import { parseSenderArgs } from '../../../src/rsync/send/sender-arguments.ts';
import { serveSender } from '../../../src/rsync/send/serve-sender.ts';
import type { SenderRule } from '../../../src/rsync/flist/filter-list.ts';
import { LocalStore } from '../../../src/tree/target/local-store.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { duplexPair } from '../../../src/transport/pair.ts';
import { makeSpecial } from '../../../src/sync/reach/local-special.ts';
import { makeHardTree } from '../../support/hard-tree.ts';
import { scratchFolder } from '../../support/stock-rsync.ts';
import { snapshot } from '../receive/support.ts';

let source: string;
beforeEach(() => {
  source = makeHardTree();
});

interface Fetched {
  readonly folder: string;
  readonly report: PullReport;
  readonly status: number;
  readonly stderr: string[];
}

/** Our client pulls from our server. */
async function fetch(
  changes: Partial<TransferOptions>,
  folder = scratchFolder(),
  senderRules: readonly SenderRule[] = [],
): Promise<Fetched> {
  const requested = { ...LISTING, ...changes };
  const { options, source: path } = parseSenderArgs(senderArgs(requested, [`${source}/`]));
  const [near, far] = duplexPair();
  const stderr: string[] = [];
  const serving = serveSender(far, {
    transfer: options,
    openTree: (filter, onProblem) => new LocalTree(path, { filter, onProblem }),
    onStderr: (line) => stderr.push(line),
  });
  const store = new LocalStore(folder, { makeSpecial });
  const report = await pull(near, { options: requested, paths: [path], store, senderRules });
  store.close();
  return { folder, report, status: await serving, stderr };
}

describe.each([27, 29, 30, 31, 32])('protocol %i', (protocolMax) => {
  it('transfers everything, and nothing the second time', async () => {
    const first = await fetch({ protocolMax });
    expect(first).toMatchObject({ status: 0, stderr: [], report: { protocol: protocolMax } });
    const wanted = await snapshot(source);
    const found = await snapshot(first.folder);
    const toSeconds = (facts: Record<string, string>): Record<string, string> =>
      Object.fromEntries(
        Object.entries(facts).map(([path, fact]) => [path, fact.replace(/\.\d+ /, ' ')]),
      );
    // Fractions of seconds are sent from protocol 31 on.
    if (protocolMax >= 31) expect(found).toEqual(wanted);
    else expect(toSeconds(found)).toEqual(toSeconds(wanted));
    const second = await fetch({ protocolMax }, first.folder);
    expect(second.report).toMatchObject({ filesReceived: 0, literalBytes: 0 });
  });
});

it('counts the bytes it sent', async () => {
  const { report } = await fetch({ dryRun: false });
  expect(report.statistics?.totalSize).toBeGreaterThan(300_000);
  expect(report.statistics?.bytesWritten).toBeGreaterThan(300_000);
});

it('a dry run sends no content, a checksum compares it', async () => {
  const dry = await fetch({ dryRun: true });
  expect(dry).toMatchObject({ status: 0, report: { filesReceived: 0 } });
  expect(Object.keys(await snapshot(dry.folder))).toEqual(['.']);
  const { folder } = await fetch({});
  expect((await fetch({ checksum: true }, folder)).report.filesReceived).toBe(0);
  expect((await fetch({ ignoreTimes: true, blockSize: 4128 }, folder)).report).toMatchObject({
    literalBytes: 0,
  });
});

it('lists only what the rules let through', async () => {
  const { folder } = await fetch({}, undefined, [
    { action: 'show', pattern: Buffer.from('/a') },
    { action: 'show', pattern: Buffer.from('/a/x') },
    { action: 'hide', pattern: Buffer.from('*') },
  ]);
  expect(Object.keys(await snapshot(folder)).sort()).toEqual(['.', 'a', 'a/x']);
});

it('parses exactly the arguments of our own client', () => {
  const options: TransferOptions[] = [
    LISTING,
    { ...LISTING, hardLinks: true, numericIds: false, timeoutSec: 60, blockSize: 4128 },
    { ...LISTING, devices: false, checksum: true, ignoreTimes: true, dryRun: true },
    { ...LISTING, xattrs: true },
    { ...LISTING, specials: false, perms: false, owner: false, group: false, links: false },
  ];
  for (const requested of options) {
    const words = senderArgs(requested, ['/some/folder/']);
    expect(parseSenderArgs(words)).toEqual({ options: requested, source: '/some/folder/' });
    expect(() => parseSenderArgs([...words.slice(0, -2), '--delete', ...words.slice(-2)])).toThrow(
      expect.objectContaining({ code: 'server-words-invalid' }) as Error,
    );
  }
});

it.each([
  ['nothing', Buffer.alloc(0), 12],
  ['no rsync', Buffer.from('GET / HTTP/1.0\r\n\r\n'), 2],
  ['half a greeting', Buffer.from([32, 0]), 12],
])('ends with a status if the client sends %s', async (_what, bytes, status) => {
  const input = new PassThrough();
  const output = new PassThrough();
  output.resume();
  input.end(bytes);
  const stderr: string[] = [];
  const ended = await serveSender(
    { input, output },
    {
      transfer: LISTING,
      openTree: () => new LocalTree(source),
      onStderr: (line) => stderr.push(line),
    },
  );
  expect(ended).toBe(status);
  expect(stderr).toHaveLength(1);
});
