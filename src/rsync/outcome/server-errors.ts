/** Turns known messages of a server on standard error into typed errors. */
import { FileError, RemoteError, type EcsyncError } from '../../errors.ts';

/** Whether we send to the server, or it sends to us. */
export type Direction = 'push' | 'pull';

interface KnownMessage {
  readonly pattern: RegExp;
  readonly make: (shown: string) => EcsyncError;
}

/** The messages of a server, raw and as a person reads them. */
interface Quoted {
  readonly raw: string;
  readonly shown: string;
}

const DISK_FULL: KnownMessage = {
  pattern: /No space left on device|Disk quota exceeded/i,
  make: (shown) =>
    new FileError('remote-disk-full', `the destination has no space left (${shown})`, {
      hint: 'Free some space there, then run the same command again to continue.',
    }),
};

const OPTION_REFUSED: KnownMessage = {
  pattern: /configured to refuse/i,
  make: (shown) =>
    new RemoteError('option-refused', `the server does not allow an option (${shown})`, {
      hint: 'Remove it from `refuse options` in rsyncd.conf there, or leave it out here.',
    }),
};

const READ_ONLY: KnownMessage = {
  pattern: /Read-only file system/i,
  make: (shown) =>
    new RemoteError('destination-read-only', `the destination cannot be written to (${shown})`, {
      hint: 'Mount its file system for writing, or choose another destination.',
    }),
};

const DISK_BROKEN: KnownMessage = {
  pattern: /Input\/output error/gi,
  make: (shown) =>
    new RemoteError('destination-broken', `the disk of the destination stores nothing (${shown})`, {
      hint: 'Check that disk: the system log there, and its cables. Nothing was lost here.',
    }),
};

/** rrsync lets in one command at a time for each folder, unless it only reads. */
const BUSY: KnownMessage = {
  pattern: /Another instance of rrsync is already/i,
  make: (shown) =>
    new RemoteError('server-busy', `another command is at work in that folder there (${shown})`, {
      hint: 'Wait until it has ended, or give rrsync the option -no-lock in authorized_keys there.',
    }),
};

/** Messages of a receiving server, in the order of precedence. */
const RECEIVER_MESSAGES: readonly KnownMessage[] = [
  BUSY,
  DISK_FULL,
  READ_ONLY,
  {
    pattern: /--delete\S* has been disabled|configured to refuse --del/i,
    make: (shown) =>
      new RemoteError('delete-forbidden', `the server does not allow deleting (${shown})`, {
        hint: 'Push without --delete, or allow deleting there (rrsync without -no-del, `refuse options` in rsyncd.conf).',
      }),
  },
  {
    pattern: /read-only server|module is read only/i,
    make: (shown) =>
      new RemoteError('destination-forbidden', `the login may not write there (${shown})`, {
        hint: 'Allow writing there (rrsync without -ro, `read only = no` in rsyncd.conf), or choose another destination.',
      }),
  },
  OPTION_REFUSED,
  {
    pattern: /(mkdir|change_dir#?\d*|chdir|stat destination)\b.*Permission denied/i,
    make: (shown) =>
      new RemoteError('destination-forbidden', `the login may not write there (${shown})`, {
        hint: 'Give the login write permission on the destination folder, or choose another one.',
      }),
  },
  {
    pattern: /(mkdir|change_dir#?\d*|chdir)\b.*No such file or directory/i,
    make: (shown) =>
      new RemoteError('destination-missing', `the destination's parent does not exist (${shown})`, {
        hint: 'Create the folder above the destination.',
      }),
  },
];

/** Messages of a sending server, in the order of precedence. */
const SENDER_MESSAGES: readonly KnownMessage[] = [
  BUSY,
  {
    pattern: /write-only server|module is write only/i,
    make: (shown) =>
      new RemoteError('source-forbidden', `the login may not read there (${shown})`, {
        hint: 'Allow reading there (rrsync without -wo, `write only = no` in rsyncd.conf).',
      }),
  },
  OPTION_REFUSED,
  {
    pattern: /(link_stat|change_dir#?\d*|chdir)\b.*Permission denied/i,
    make: (shown) =>
      new RemoteError('source-forbidden', `the login may not read there (${shown})`, {
        hint: 'Give the login read permission on the remote folder.',
      }),
  },
  {
    pattern: /(link_stat|change_dir#?\d*|chdir)\b.*No such file or directory/i,
    make: (shown) =>
      new RemoteError('source-missing', `the remote folder does not exist (${shown})`, {
        hint: 'Check its path.',
      }),
  },
];

/**
 * A line of our own server without rsync's prefix and suffix: `cannot list a/b: permission denied`.
 */
export function stripRsyncPrefix(line: string): string {
  return line.replace(/^rsync(?: error)?: (?:\[\w+\] )?/, '').replace(/ \(code \d+\) \[\w+\]$/, '');
}

/** The cause that a server's standard error reveals; undefined if no message is known. */
export function explainStderr(
  { raw, shown }: Quoted,
  direction: Direction,
): EcsyncError | undefined {
  const table = direction === 'push' ? RECEIVER_MESSAGES : SENDER_MESSAGES;
  return table.find(({ pattern }) => pattern.test(raw))?.make(shown);
}

/** Whether rrsync refused a command because another one is at work. */
export function isServerBusy(stderrText: string): boolean {
  return BUSY.pattern.test(stderrText);
}

/** The error for a full disk, if the server reported one. */
export function explainDiskFull({ raw, shown }: Quoted): EcsyncError | undefined {
  return DISK_FULL.pattern.test(raw) ? DISK_FULL.make(shown) : undefined;
}

/**
 * The error for a destination that stores nothing at all, if a server that ran to its end reported
 * that.
 *
 * @param stderrText - the complete text: it has a line for each file that failed
 * @param filesSent - number of files sent; a single one could be on a bad sector
 */
export function explainDeadDisk(
  shown: string,
  stderrText: string,
  filesSent: number,
): EcsyncError | undefined {
  if (READ_ONLY.pattern.test(stderrText)) return READ_ONLY.make(shown);
  const failed = stderrText.match(DISK_BROKEN.pattern)?.length ?? 0;
  return filesSent > 1 && failed >= filesSent ? DISK_BROKEN.make(shown) : undefined;
}
