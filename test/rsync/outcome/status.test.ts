// Goal: every end of a run gets the exit code and the cause that a person or a script needs, from
// whichever of the three sources shows it.
import { describe, expect, it } from 'vitest';
import {
  ConnectionError,
  InterruptedError,
  ProtocolError,
  RemoteError,
} from '../../../src/errors.ts';
import { errorExit } from '../../../src/rsync/wire/peer-messages.ts';
import type { SendReport } from '../../../src/rsync/send/send-job.ts';
import { judge } from '../../../src/rsync/outcome/status.ts';

const REPORT: SendReport = {
  protocol: 32,
  checksumName: 'xxh128',
  filesSent: 1,
  literalBytes: 1,
  matchedBytes: 0,
  bytesSent: 1,
  bytesReceived: 1,
  remoteErrors: false,
  ioError: 0,
};
const LOST = new ConnectionError('connection-lost', 'closed');
const NO_GREETING = new RemoteError('no-greeting', 'closed');
const MKSTEMP_ROFS = 'rsync: [receiver] mkstemp "f" failed: Read-only file system (30)\n';
const MKSTEMP_EIO = 'rsync: [receiver] mkstemp "f" failed: Input/output error (5)\n';
const NO_SPACE = 'rsync: [receiver] write failed on "/x": No space left on device (28)\n';

describe('judge()', () => {
  it.each<[string, unknown, number | null, string, number, string | undefined]>([
    ['all is well', REPORT, 0, '', 0, undefined],
    ['warnings alone are not a failure', REPORT, 0, 'a warning\n', 0, undefined],
    [
      'an old server exits 0 after a failure',
      { ...REPORT, remoteErrors: true },
      0,
      '',
      23,
      'remote-partial',
    ],
    ['a failure on the server', REPORT, 23, 'rsync: x\n', 23, 'remote-partial'],
    ['its disk filled up during the run', REPORT, 23, NO_SPACE, 23, 'remote-disk-full'],
    ['its disk is read-only', REPORT, 23, MKSTEMP_ROFS, 5, 'destination-read-only'],
    [
      'its disk stores nothing',
      { ...REPORT, filesSent: 2 },
      23,
      MKSTEMP_EIO.repeat(2),
      5,
      'destination-broken',
    ],
    [
      'its disk has a bad sector',
      { ...REPORT, filesSent: 3 },
      23,
      MKSTEMP_EIO.repeat(2),
      23,
      'remote-partial',
    ],
    ['a file of ours was unreadable', { ...REPORT, ioError: 1 }, 23, '', 23, 'unreadable'],
    ['an old server did not learn of it', { ...REPORT, ioError: 1 }, 0, '', 23, 'unreadable'],
    ['a file vanished', { ...REPORT, ioError: 2 }, 24, '', 24, 'files-vanished'],
    [
      'an old server did not learn that a file vanished',
      { ...REPORT, ioError: 2 },
      0,
      '',
      24,
      'files-vanished',
    ],
    ['vanished and unreadable', { ...REPORT, ioError: 3 }, 23, '', 23, 'unreadable'],
    [
      'vanished and not stored',
      { ...REPORT, ioError: 2, remoteErrors: true },
      23,
      '',
      23,
      'remote-partial',
    ],
    ['the deletion limit', REPORT, 25, '', 25, 'delete-limit'],
    ['a timeout at the end', REPORT, 30, '', 30, 'timeout'],
    ['an unknown end of the server', REPORT, 14, '', 5, 'remote-exit'],
    ['the server vanished after the goodbye', REPORT, null, '', 30, 'connection-lost'],
    ['the connection broke', LOST, null, '', 30, 'connection-lost'],
    [
      'ssh gave up',
      LOST,
      255,
      'client_loop: send disconnect: Broken pipe\n',
      30,
      'connection-lost',
    ],
    ['the server lost us first', LOST, 12, '', 30, 'connection-lost'],
    ['the server was interrupted', LOST, 20, '', 30, 'connection-lost'],
    ['the server closed without a reason', LOST, 0, '', 30, 'connection-lost'],
    ['the server timed out', LOST, 30, '', 30, 'timeout'],
    ['the stream reports the timeout', errorExit(30), null, '', 30, 'timeout'],
    ['the stream reports the limit', errorExit(25), null, '', 25, 'delete-limit'],
    ['the disk is full', LOST, 11, NO_SPACE, 23, 'remote-disk-full'],
    [
      'the stream reports that the disk is full',
      errorExit(11),
      null,
      NO_SPACE,
      23,
      'remote-disk-full',
    ],
    ['a quota is used up', LOST, 11, 'write: Disk quota exceeded (122)', 23, 'remote-disk-full'],
    ['another end of the server', errorExit(4), 4, 'unsafe name', 5, 'remote-exit'],
    ['no rsync', NO_GREETING, 127, 'sh: 1: rsync: not found\n', 5, 'rsync-missing'],
    ['rsync that may not run', NO_GREETING, 126, '', 5, 'rsync-missing'],
    ['an unknown option', NO_GREETING, 1, 'rsync: --x: unknown option\n', 5, 'remote-exit'],
    ['a shell reports that it was killed', LOST, 137, 'Killed\n', 30, 'connection-lost'],
    ['the same after the goodbye', REPORT, 143, '', 30, 'connection-lost'],
    [
      'a restricted shell that forbids deleting',
      NO_GREETING,
      1,
      'rrsync error: option --delete-after has been disabled on this server.\n',
      5,
      'delete-forbidden',
    ],
    [
      'a restricted shell that is read-only',
      NO_GREETING,
      1,
      'rrsync error: sending to read-only server is not allowed\n',
      5,
      'destination-forbidden',
    ],
    ['ssh without a server', NO_GREETING, 255, 'ssh: no route to host\n', 30, 'connection-lost'],
    ['a protocol error', new ProtocolError('asked-twice', 'x'), 0, NO_SPACE, 5, 'asked-twice'],
    ['an interruption', new InterruptedError('interrupted', 'x'), 20, '', 130, 'interrupted'],
    ['an error that is not ours', new TypeError('x'), null, '', 30, 'connection-lost'],
  ])('%s', (...[, result, code, stderr, exitCode, errorCode]) => {
    const outcome = judge(result, { code, signal: null }, stderr);
    expect(outcome.exitCode).toBe(exitCode);
    expect(outcome.error?.code).toBe(errorCode);
  });

  it('names the signal that ended the server', () => {
    const { error } = judge(LOST, { code: null, signal: 'SIGKILL' }, '');
    expect(error?.message).toContain('SIGKILL');
  });

  it('quotes the messages of the server in one line of limited length', () => {
    const words = `${'x'.repeat(300)}\r\n\n  second\nthird\nfourth\n`;
    const message = judge(NO_GREETING, { code: 1, signal: null }, words).error?.message ?? '';
    expect(message).toContain('second; third');
    expect(message).not.toContain('fourth');
    expect(message).not.toContain('\n');
    const long = judge(NO_GREETING, { code: 1, signal: null }, 'y'.repeat(60_000)).error?.message;
    expect(long?.length).toBeLessThan(700);
  });
});
