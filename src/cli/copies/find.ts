/** The command `find`: lists the objects of a copy that match a pattern or a test. */
import type { Command } from 'commander';
import { OptionValueError } from '../../options/option-values.ts';
import { treeBelow } from '../../sync/browse/browse.ts';
import { findTest, KINDS, type FindTests, type KindLetter } from '../../sync/browse/find-test.ts';
import { walk } from '../../tree/walk.ts';
import type { BrowseOptions } from './browse.ts';
import { listEntry } from './browse-output.ts';
import { ESCAPED_EXAMPLE, ESCAPED_HELP, typedBytes } from '../frame/escaped-paths.ts';
import type { Host } from '../frame/host.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { typed } from '../frame/options.ts';
import { PATH_RULE } from '../frame/vault-paths.ts';
import { addCopyOptions } from './copy-options.ts';

interface SizeRange {
  readonly min?: number;
  readonly max?: number;
}

interface FindOptions extends BrowseOptions {
  readonly in?: string;
  readonly ignoreCase?: boolean;
  readonly type?: readonly KindLetter[];
  readonly size?: SizeRange;
  readonly newer?: number;
  readonly older?: number;
  readonly long?: boolean;
  readonly null?: boolean;
}

const AFTER_HELP = `${PATH_RULE}
Without --in the current folder is searched. PATTERN is rsync's: * and ? stop at a slash, ** does not. With a slash in it, it must match the whole
path from the top, otherwise the name. Everything that is asked for must hold. What is found
is printed from the top. Odd bytes are escaped on a terminal and raw elsewhere; with --escaped
they are escaped everywhere, and understood: ${ESCAPED_EXAMPLE}`;

/** Defines `find [PATTERN]`. */
export function defineFind(program: Command, select: Selected): void {
  const command = program
    .command('find')
    .summary('find files of a remote by their plaintext names')
    .description('Find files of a remote by name, kind, size or time.')
    .argument('[pattern]', "such as '*.pdf' or 'docs/**/report*'")
    .option('--from <remote>', 'a remote, a destination, or an encrypted folder')
    .option('--in <path>', 'look only below this folder of the copy')
    .option('-i, --ignore-case', 'capital and small letters (a to z) are the same')
    .option(
      '--type <letters>',
      'f files, d folders, l links, s special files; several: f,l',
      typed(kinds),
    )
    .option(
      '--size <range>',
      '+10M at least, -10M at most, 4096 exactly (suffix K, M, G)',
      typed(size),
    )
    .option(
      '--newer <when>',
      'modified after: 2026-01-31, 2026-01-31T12:00, or 7d, 12h ago',
      typed(when),
    )
    .option('--older <when>', 'modified before', typed(when))
    .option('-l, --long', 'with permissions, owner, size and time')
    .option('-0, --null', 'items end in a NUL, not a newline')
    .option('--escaped', ESCAPED_HELP);
  addCopyOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action((pattern: string | undefined) => {
      const options: FindOptions = command.optsWithGlobals();
      select('find', options, (host, warnings) => runFind(host, warnings, { options, pattern }));
    });
}

async function runFind(
  host: Host,
  warnings: Warnings,
  { options, pattern }: { readonly options: FindOptions; readonly pattern: string | undefined },
): Promise<CommandResult> {
  const { browse } = await import('./browse.ts');
  const isWanted = findTest(testsOf(options, pattern));
  let matches = 0;
  const result = await browse({ host, warnings }, { options, reach: 'all' }, async (browsing) => {
    const { view } = browsing;
    const top = await browsing.find(browsing.toInside(options.in ?? '.'));
    if (top === undefined) return;
    for await (const part of walk(treeBelow(view, top), host.signal)) {
      if (host.out.isClosed) return;
      for (const entry of part) {
        if (entry === top || !isWanted(entry)) continue;
        matches += 1;
        listEntry(host.out, options, entry, entry.path);
      }
    }
  });
  return { ...result, figures: { ...result.figures, matches } };
}

function testsOf(options: FindOptions, pattern: string | undefined): FindTests {
  const { type, size: range, newer, older } = options;
  return {
    ...(pattern !== undefined && { pattern: typedBytes(pattern, options.escaped) }),
    ignoreCase: options.ignoreCase === true,
    ...(type !== undefined && { kinds: type }),
    ...(range?.min !== undefined && { sizeMin: range.min }),
    ...(range?.max !== undefined && { sizeMax: range.max }),
    ...(newer !== undefined && { newerThanMs: newer }),
    ...(older !== undefined && { olderThanMs: older }),
  };
}

function kinds(text: string): readonly KindLetter[] {
  const letters = text.split(',').filter((letter) => Object.hasOwn(KINDS, letter));
  if (letters.length === 0 || letters.length !== text.split(',').length) {
    throw new OptionValueError('It must be f, d, l or s, or several with commas between.');
  }
  return letters as readonly KindLetter[];
}

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

function size(text: string): SizeRange {
  const [, sign = '', digits = '', suffix = ''] =
    /^([+-]?)([0-9]{1,12})([KkMmGg]?)$/.exec(text) ?? [];
  if (digits === '') throw new OptionValueError('It must be a size such as +10M, -4K or 512.');
  const bytes = Number(digits) * (FACTORS[suffix.toLowerCase()] ?? 1);
  if (sign === '+') return { min: bytes };
  return sign === '-' ? { max: bytes } : { min: bytes, max: bytes };
}

const AGO_MS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?$/;

/** Milliseconds since 1970. A date without a time means midnight, local time. */
function when(text: string): number {
  const [, count = '', unit = ''] = /^([0-9]{1,6})([mhdw])$/.exec(text) ?? [];
  if (count !== '') return Date.now() - Number(count) * (AGO_MS[unit] ?? 0);
  const moment = DAY.test(text) ? `${text}T00:00` : MOMENT.test(text) ? text : '';
  const ms = Date.parse(moment.replace(' ', 'T'));
  if (Number.isNaN(ms)) {
    throw new OptionValueError('It must be a day, a moment, or a time ago: 2026-01-31, 7d.');
  }
  return ms;
}
