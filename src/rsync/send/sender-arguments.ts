/** Parses the command line of a sending server. */
import { UsageError } from '../../errors.ts';
import { LISTING, senderArgs, type TransferOptions } from '../wire/options.ts';

/** Letters of the cluster with the options they set. */
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
 * Inverse of {@link senderArgs} with one path, for a server in this process.
 *
 * @returns the options (`protocolMax` is the newest: it is not part of the arguments) and the path as
 *   it was sent
 * @throws {UsageError} `server-words-invalid` — arguments that `senderArgs` does not make
 */
export function parseSenderArgs(args: readonly string[]): {
  options: TransferOptions;
  source: string;
} {
  const letters = /^-([A-Za-z]*)e\./.exec(args[2] ?? '')?.[1] ?? '';
  const source = args.at(-1) ?? '';
  const number = (start: string): number | undefined => {
    const digits = args.find((arg) => arg.startsWith(start))?.slice(start.length) ?? '';
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
    devices: devices && !args.includes('--specials'),
    specials: args.includes('--specials') || (devices && !args.includes('--no-specials')),
    numericIds: args.includes('--numeric-ids'),
    ...(letters.includes('X') && { xattrs: true }),
    ...(blockSize !== undefined && { blockSize }),
    ...(timeoutSec !== undefined && { timeoutSec }),
  };
  // The arguments that were not understood are missing here.
  const again = senderArgs(options, [source]);
  if (again.length === args.length && again.every((arg, i) => arg === args[i])) {
    return { options, source };
  }
  throw new UsageError(
    'server-words-invalid',
    `not a command line of a sending server: ${args.join(' ')}`,
  );
}
