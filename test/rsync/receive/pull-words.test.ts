// Goal: the command line of a pull equals the stock client's except for the two capabilities that
// we do not offer, and every end of a sending server becomes the right outcome.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConnectionError, RemoteError } from '../../../src/errors.ts';
import { senderArgs, type TransferOptions } from '../../../src/rsync/wire/options.ts';
import type { PullReport } from '../../../src/rsync/receive/pull-plan.ts';
import { judge } from '../../../src/rsync/outcome/status.ts';
import { ARCHIVE, scratchFolder } from '../../support/stock-rsync.ts';
import { transferFlags } from '../../support/transfer-flags.ts';

/** The stock client's arguments for the same options: it runs our program instead of ssh. */
function stockWords(requested: TransferOptions, paths: readonly string[]): string[] {
  const folder = scratchFolder();
  const dump = join(folder, 'dump.sh');
  const script = `#!/bin/sh\nshift 2\nprintf '%s\\n' "$@" > '${folder}/words'\nexit 1\n`;
  fs.writeFileSync(dump, script, { mode: 0o755 });
  const on = (yes: boolean, name: string): string[] => (yes ? [name] : []);
  const args = ['-r', '--no-inc-recursive', '-e', dump].concat(
    on(requested.links, '--links'),
    on(requested.perms, '--perms'),
    on(requested.times, '--times'),
    on(requested.owner, '--owner'),
    on(requested.group, '--group'),
    on(requested.devices, '--devices'),
    on(requested.specials, '--specials'),
    on(requested.hardLinks, '--hard-links'),
    on(requested.checksum, '--checksum'),
    on(requested.dryRun, '--dry-run'),
    on(requested.numericIds, '--numeric-ids'),
    on(requested.ignoreTimes, '--ignore-times'),
    on(requested.deleteAfter, '--delete-after'),
    [`--block-size=${requested.blockSize ?? 0}`, `--timeout=${requested.timeoutSec ?? 0}`],
  );
  spawnSync('rsync', [...args, ...paths.map((path) => `host:${path}`), join(folder, 'to/')]);
  return fs.readFileSync(join(folder, 'words'), 'utf8').trim().split('\n');
}

describe('senderArgs()', () => {
  it('is the stock command line without the capabilities i and I', () => {
    fc.assert(
      fc.property(transferFlags, fc.integer({ min: 1, max: 131_072 }), (some, blockSize) => {
        const requested = { protocolMax: 32, ...some, blockSize, timeoutSec: 30 };
        const stock = stockWords(requested, ['a/', 'b']);
        const alike = stock.map((text) => text.replace('.LsfxCIvu', '.LsfxCvu'));
        expect(senderArgs(requested, ['a/', 'b'])).toEqual(alike);
      }),
      { numRuns: 25 },
    );
  });

  it('leaves out options of the receiver, and protects leading dashes and empty paths', () => {
    const local = { tempDir: '/t', linkDest: '../prev', deleteAfter: true, xattrs: true };
    const requested = { ...ARCHIVE, ...local };
    expect(senderArgs(requested, ['', '-x', '/', 'a b/'])).toEqual([
      ...['--server', '--sender', '-logDtpXre.LsfxCvu', '--numeric-ids'],
      ...['.', '.', './-x', '/', 'a b/'],
    ]);
    expect(senderArgs(ARCHIVE, []).at(-1)).toBe('.');
  });
});

describe('judge() of a pull', () => {
  const report: PullReport = {
    protocol: 32,
    checksumName: 'xxh128',
    listed: 5,
    filesReceived: 0,
    literalBytes: 0,
    matchedBytes: 0,
    bytesSent: 0,
    bytesReceived: 0,
    deleted: { files: 0, directories: 0, symlinks: 0, devices: 0, specials: 0 },
    deletionSkipped: false,
    problems: 0,
    remoteErrors: false,
    ioError: 0,
  };
  const missing = 'rsync: [sender] change_dir "/x" failed: No such file or directory (2)';
  const denied = 'rsync: [sender] change_dir "/x" failed: Permission denied (13)';
  const lost = new ConnectionError('connection-lost', 'lost');
  const silent = new RemoteError('no-greeting', 'silent');

  const cases: [string, unknown, number | null, string, string | undefined][] = [
    ['all is well', report, 0, '', undefined],
    ['a failure of one file', report, 23, 'rsync: open failed', 'remote-partial'],
    ['an error reported only in the stream', { ...report, ioError: 1 }, 0, '', 'remote-partial'],
    ['an error text of an old server', { ...report, remoteErrors: true }, 0, '', 'remote-partial'],
    ['vanished files', { ...report, ioError: 2 }, 24, '', 'files-vanished'],
    ['a missing folder', { ...report, listed: 0 }, 23, missing, 'source-missing'],
    ['an unreadable folder', { ...report, listed: 0 }, 23, denied, 'source-forbidden'],
    ['one unreadable folder of many', report, 23, denied, 'remote-partial'],
    [
      'a write-only server',
      silent,
      1,
      'rrsync: sending from write-only server is not allowed',
      'source-forbidden',
    ],
    ['a missing rsync', silent, 127, 'sh: rsync: not found', 'rsync-missing'],
    ['a lost connection', lost, 255, '', 'connection-lost'],
    ['a killed server', lost, 137, '', 'connection-lost'],
    ['a server killed after the goodbye', report, null, '', 'connection-lost'],
    ['a server that gave up waiting', report, 30, '', 'timeout'],
    ['an unknown exit code', report, 77, '', 'remote-exit'],
  ];
  it.each(cases)('%s', (...[, result, code, stderr, expected]) => {
    expect(judge(result, { code, signal: null }, stderr, { direction: 'pull' }).error?.code).toBe(
      expected,
    );
  });
});
