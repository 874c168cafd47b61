/** The command `cat`: prints files of a copy, decrypted. */
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { assertFile, followLinks, readOut } from '../../sync/browse/browse.ts';
import type { BrowseOptions, Browsing } from './browse.ts';
import { ESCAPED_HELP } from '../frame/escaped-paths.ts';
import type { Host } from '../frame/host.ts';
import { typed } from '../frame/options.ts';
import { wholeNumber } from '../../options/option-values.ts';
import { jsonPath } from '../terminal/render-item.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { PATH_RULE } from '../frame/vault-paths.ts';
import { addCopyOptions } from './copy-options.ts';

interface CatOptions extends BrowseOptions {
  readonly offset?: number;
  readonly length?: number;
}

const AFTER_HELP = `${PATH_RULE}
Links inside the copy are followed. Every block is authenticated
before it is printed: at damage the output ends, with exit code 26. Only the files that are named are
fetched; over SFTP, of a range only about that range, otherwise the file up to the end of the range.`;

/** Defines `cat PATH…`. */
export function defineCat(program: Command, select: Selected): void {
  const any = typed(wholeNumber(0, Number.MAX_SAFE_INTEGER));
  const command = program
    .command('cat')
    .summary('print a file of a remote')
    .description('Decrypt files of a remote to standard output.')
    .argument('<path...>', 'files of the copy')
    .option('--from <remote>', 'a remote, a destination, or an encrypted folder')
    .option('--escaped', ESCAPED_HELP)
    .option('--offset <bytes>', 'begin here', any)
    .option('--length <bytes>', 'print at most so much', any);
  addCopyOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action((paths: readonly string[]) => {
      const options: CatOptions = command.optsWithGlobals();
      select('cat', options, (host, warnings) => runCat(host, warnings, { options, paths }));
    });
}

async function runCat(
  host: Host,
  warnings: Warnings,
  { options, paths }: { readonly options: CatOptions; readonly paths: readonly string[] },
): Promise<CommandResult> {
  const isPart = options.offset !== undefined || options.length !== undefined;
  if (isPart && paths.length > 1) {
    throw new UsageError('conflicting-options', '--offset and --length are about one file', {
      hint: 'Name one file.',
    });
  }
  const { browse } = await import('./browse.ts');
  return browse({ host, warnings }, { options, reach: 'little' }, async (browsing) => {
    for (const typed of paths) {
      const inside = browsing.toInside(typed);
      await print(host, browsing, { options, inside });
      if (host.out.isClosed) return;
    }
  });
}

async function print(
  host: Host,
  browsing: Browsing,
  { options, inside }: { readonly options: CatOptions; readonly inside: Uint8Array },
): Promise<void> {
  const { trouble, view } = browsing;
  const found = await browsing.find(inside);
  if (found === undefined) return;
  const { out, signal } = host;
  const { offset = 0, length = Number.MAX_SAFE_INTEGER } = options;
  try {
    const file = await view.open(assertFile(await followLinks(view, found), found.path));
    try {
      await readOut(file, { offset, end: offset + length }, async (piece, at) => {
        signal.throwIfAborted();
        if (out.mode.json) out.event(contentEvent(inside, piece, at));
        else await out.stream(piece);
        return !out.isClosed;
      });
    } finally {
      await file.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    trouble.add(error);
  }
}

/** `{"type":"content","path","offset","base64"}` */
function contentEvent(
  inside: Uint8Array,
  piece: Uint8Array,
  offset: number,
): Readonly<Record<string, unknown>> {
  const base64 = Buffer.from(piece).toString('base64');
  return { type: 'content', ...jsonPath('path', inside), offset, base64 };
}
