/** The command `ls`: lists folders of a copy in plaintext. */
import type { Command } from 'commander';
import { treeBelow } from '../../sync/browse/browse.ts';
import { isDirectory } from '../../tree/entry.ts';
import { walk } from '../../tree/walk.ts';
import type { PlainEntry } from '../../view/plain-entry.ts';
import { isRootPath, splitPath } from '../../bytes/paths.ts';
import type { BrowseOptions, Browsing } from './browse.ts';
import { listEntry } from './browse-output.ts';
import { ESCAPED_EXAMPLE, ESCAPED_HELP } from '../frame/escaped-paths.ts';
import type { Host } from '../frame/host.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { PATH_RULE } from '../frame/vault-paths.ts';
import { addCopyOptions } from './copy-options.ts';

interface LsOptions extends BrowseOptions {
  readonly long?: boolean;
  readonly recursive?: boolean;
  readonly directory?: boolean;
  readonly null?: boolean;
}

const AFTER_HELP = `${PATH_RULE}
Without PATH the current folder is listed. A folder's content is listed by name, in the order of the
names' bytes. With -R, or more than one PATH, every line is a path from the top. Odd bytes are escaped on a terminal and raw elsewhere; with --escaped
they are escaped everywhere, and understood: ${ESCAPED_EXAMPLE}`;

/** Defines `ls [PATH…]`. */
export function defineLs(program: Command, select: Selected): void {
  const command = program
    .command('ls')
    .summary('list what is in a remote, in plaintext names')
    .description('List what is in a remote, in plaintext names.')
    .argument('[path...]', 'files and folders of the copy')
    .option('--from <remote>', 'a remote, a destination, or an encrypted folder')
    .option('-l, --long', 'with permissions, owner, size and time')
    .option('-R, --recursive', 'everything below, too')
    .option('-d, --directory', 'folders themselves, not what is in them')
    .option('-0, --null', 'items end in a NUL, not a newline')
    .option('--escaped', ESCAPED_HELP);
  addCopyOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action((paths: readonly string[]) => {
      const options: LsOptions = command.optsWithGlobals();
      select('ls', options, (host, warnings) => runLs(host, warnings, { options, paths }));
    });
}

async function runLs(
  host: Host,
  warnings: Warnings,
  { options, paths }: { readonly options: LsOptions; readonly paths: readonly string[] },
): Promise<CommandResult> {
  const { browse } = await import('./browse.ts');
  const reach = options.recursive === true ? 'all' : 'little';
  return browse({ host, warnings }, { options, reach }, async (browsing) => {
    const wanted = paths.length === 0 ? ['.'] : paths;
    for (const typed of wanted) {
      const entry = await browsing.find(browsing.toInside(typed));
      if (entry !== undefined) {
        await list(host, browsing, { options, entry, isOnly: wanted.length === 1 });
      }
      if (host.out.isClosed) return;
    }
  });
}

async function list(
  host: Host,
  { view }: Browsing,
  what: { readonly options: LsOptions; readonly entry: PlainEntry; readonly isOnly: boolean },
): Promise<void> {
  const { options, entry, isOnly } = what;
  const print = (listed: PlainEntry, name: Uint8Array): void =>
    listEntry(host.out, options, listed, name);
  if (!isDirectory(entry) || options.directory === true) print(entry, entry.path);
  else if (options.recursive === true) {
    for await (const part of walk(treeBelow(view, entry), host.signal)) {
      if (host.out.isClosed) return;
      for (const below of part) if (below !== entry) print(below, below.path);
    }
  } else {
    const children = [...(await view.children(entry))];
    children.sort((a, b) => Buffer.compare(a.path, b.path));
    for (const child of children) {
      print(child, isOnly || isRootPath(entry.path) ? splitPath(child.path).name : child.path);
    }
  }
}
