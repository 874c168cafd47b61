/** Explains the words of a server on standard error. */
import { FileError, RemoteError, type EcsyncError } from '../../errors.ts';

/** Whether we send to the server, or it sends to us. */
export type Direction = 'push' | 'pull';

interface KnownWords {
  readonly words: RegExp;
  readonly make: (told: string) => EcsyncError;
}

/** Words of a server, and how a person is told them. */
interface Words {
  readonly said: string;
  readonly told: string;
}

const DISK_FULL: KnownWords = {
  words: /No space left on device|Disk quota exceeded/i,
  make: (told) =>
    new FileError('remote-disk-full', `the destination has no space left (${told})`, {
      hint: 'Make room there and run the same command again; it continues.',
    }),
};

const OPTION_REFUSED: KnownWords = {
  words: /configured to refuse/i,
  make: (told) =>
    new RemoteError('option-refused', `the server does not allow an option (${told})`, {
      hint: 'Take it out of `refuse options` in rsyncd.conf there, or do without it here.',
    }),
};

const READ_ONLY: KnownWords = {
  words: /Read-only file system/i,
  make: (told) =>
    new RemoteError('destination-read-only', `the destination cannot be written to (${told})`, {
      hint: 'Mount its file system for writing, or choose another destination.',
    }),
};

const DISK_BROKEN: KnownWords = {
  words: /Input\/output error/gi,
  make: (told) =>
    new RemoteError('destination-broken', `the disk of the destination stores nothing (${told})`, {
      hint: 'Look at that disk: at the system log there, and at its cables. Nothing was lost here.',
    }),
};

/** What the words of a receiving server give away, in the order of precedence. */
const RECEIVER_WORDS: readonly KnownWords[] = [
  DISK_FULL,
  READ_ONLY,
  {
    words: /--delete\S* has been disabled|configured to refuse --del/i,
    make: (told) =>
      new RemoteError('delete-forbidden', `the server does not allow deleting (${told})`, {
        hint: 'Push without --delete, or allow deleting there (rrsync without -no-del, `refuse options` in rsyncd.conf).',
      }),
  },
  {
    words: /read-only server|module is read only/i,
    make: (told) =>
      new RemoteError('destination-forbidden', `the login may not write there (${told})`, {
        hint: 'Allow writing there (rrsync without -ro, `read only = no` in rsyncd.conf), or choose another destination.',
      }),
  },
  OPTION_REFUSED,
  {
    words: /(mkdir|change_dir#?\d*|chdir|stat destination)\b.*Permission denied/i,
    make: (told) =>
      new RemoteError('destination-forbidden', `the login may not write there (${told})`, {
        hint: 'Give the login write permission on the destination folder, or choose another one.',
      }),
  },
  {
    words: /(mkdir|change_dir#?\d*|chdir)\b.*No such file or directory/i,
    make: (told) =>
      new RemoteError('destination-missing', `the destination's parent does not exist (${told})`, {
        hint: 'Create the folder that the destination is to be in.',
      }),
  },
];

/** What the words of a sending server give away. */
const SENDER_WORDS: readonly KnownWords[] = [
  {
    words: /write-only server|module is write only/i,
    make: (told) =>
      new RemoteError('source-forbidden', `the login may not read there (${told})`, {
        hint: 'Allow reading there (rrsync without -wo, `write only = no` in rsyncd.conf).',
      }),
  },
  OPTION_REFUSED,
  {
    words: /(link_stat|change_dir#?\d*|chdir)\b.*Permission denied/i,
    make: (told) =>
      new RemoteError('source-forbidden', `the login may not read there (${told})`, {
        hint: 'Give the login read permission on the remote folder.',
      }),
  },
  {
    words: /(link_stat|change_dir#?\d*|chdir)\b.*No such file or directory/i,
    make: (told) =>
      new RemoteError('source-missing', `the remote folder does not exist (${told})`, {
        hint: 'Check its path.',
      }),
  },
];

/** A line of our own server without rsync's form: `cannot list a/b: permission denied`. */
export function plainWords(line: string): string {
  return line.replace(/^rsync(?: error)?: (?:\[\w+\] )?/, '').replace(/ \(code \d+\) \[\w+\]$/, '');
}

/** What a server's words on standard error give away; undefined when they are of no known kind. */
export function explainWords({ said, told }: Words, direction: Direction): EcsyncError | undefined {
  const table = direction === 'push' ? RECEIVER_WORDS : SENDER_WORDS;
  return table.find(({ words }) => words.test(said))?.make(told);
}

/** The destination has no space left, if that is what it said. */
export function explainDiskFull({ said, told }: Words): EcsyncError | undefined {
  return DISK_FULL.words.test(said) ? DISK_FULL.make(told) : undefined;
}

/**
 * The destination stores nothing at all, if that is what a server said that came to its end.
 *
 * @param stderrText - all of it: a line for each file that failed
 * @param filesSent - so many files it was sent; a single one may lie on a bad spot
 */
export function explainDeadDisk(
  told: string,
  stderrText: string,
  filesSent: number,
): EcsyncError | undefined {
  if (READ_ONLY.words.test(stderrText)) return READ_ONLY.make(told);
  const failed = stderrText.match(DISK_BROKEN.words)?.length ?? 0;
  return filesSent > 1 && failed >= filesSent ? DISK_BROKEN.make(told) : undefined;
}
