/** Parses the command line of a sending server. */
import { UsageError } from '../../errors.ts';
import { LISTING, senderWords, type TransferOptions } from '../wire/options.ts';

/** Letters of the cluster, and what they switch on. */
const SWITCHES = [
  ['n', 'dryRun'],
  ['l', 'links'],
  ['H', 'hardLinks'],
  ['o', 'owner'],
  ['g', 'group'],
  ['t', 'times'],
  ['p', 'perms'],
  ['c', 'checksum'],
  ['I', 'ignoreTimes'],
] as const;

/**
 * Inverse of {@link senderWords} with one path, for a server in this process.
 *
 * @returns the options (`protocolMax` is the newest: it does not travel here) and the path as it was
 *   sent
 * @throws {UsageError} `server-words-invalid` — anything that `senderWords` does not make
 */
export function parseSenderWords(words: readonly string[]): {
  options: TransferOptions;
  source: string;
} {
  const letters = /^-([A-Za-z]*)e\./.exec(words[2] ?? '')?.[1] ?? '';
  const source = words.at(-1) ?? '';
  const number = (start: string): number | undefined => {
    const digits = words.find((word) => word.startsWith(start))?.slice(start.length) ?? '';
    return /^\d{1,9}$/.test(digits) ? Number(digits) : undefined;
  };
  const blockSize = number('-B');
  const timeoutSec = number('--timeout=');
  const switches: Partial<Record<(typeof SWITCHES)[number][1], boolean>> = {};
  for (const [letter, name] of SWITCHES) switches[name] = letters.includes(letter);
  const devices = letters.includes('D');
  const options: TransferOptions = {
    ...LISTING,
    ...switches,
    devices: devices && !words.includes('--specials'),
    specials: words.includes('--specials') || (devices && !words.includes('--no-specials')),
    numericIds: words.includes('--numeric-ids'),
    ...(letters.includes('X') && { xattrs: true }),
    ...(blockSize !== undefined && { blockSize }),
    ...(timeoutSec !== undefined && { timeoutSec }),
  };
  // Whatever was not understood is missing here.
  const again = senderWords(options, [source]);
  if (again.length === words.length && again.every((word, i) => word === words[i])) {
    return { options, source };
  }
  throw new UsageError(
    'server-words-invalid',
    `not a command line of a sending server: ${words.join(' ')}`,
  );
}
