/** A local folder as a source of a pull. */
import path from 'node:path';
import { FileError, VaultError } from '../../errors.ts';
import { serveSender } from '../../rsync/send/serve-sender.ts';
import { parseSenderArgs } from '../../rsync/send/sender-arguments.ts';
import { LocalTree } from '../../tree/local/local-tree.ts';
import { prepareFolder } from '../../tree/target/prepare-folder.ts';
import { groupNames, userNames } from '../../tree/local/owner-names.ts';
import { readSourceXattrs } from './source-xattrs.ts';
import { InProcessRemote, type InProcessServer } from '../reach/in-process-remote.ts';

/**
 * A local folder as a source of a pull. {@link start} rejects with {@link UsageError}
 * `server-words-invalid` and {@link VaultError} `copy-missing`.
 */
export class LocalSourceRemote extends InProcessRemote {
  constructor() {
    super(sourceServer);
  }
}

function sourceServer(words: readonly string[]): InProcessServer {
  const { options, source } = parseSenderArgs(words);
  const folder = path.resolve(source);
  if (!isFolder(folder)) {
    throw new VaultError('copy-missing', `${folder} is not a folder`, {
      hint: 'Is its disk mounted?',
    });
  }
  return (peer, onStderr) =>
    serveSender(peer, {
      transfer: options,
      openTree: (filter, onProblem) => new LocalTree(folder, { filter, onProblem }),
      readXattrs: (entries, onProblem) => readSourceXattrs(folder, entries, onProblem),
      names: options.numericIds ? undefined : { users: userNames(), groups: groupNames() },
      onStderr,
    });
}

function isFolder(folder: string): boolean {
  try {
    return !prepareFolder(folder, true);
  } catch (error) {
    if (error instanceof FileError) return false;
    throw error;
  }
}
