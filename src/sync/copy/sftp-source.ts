/** Reads a copy that only SFTP reaches, through an rsync server in this process. */
import { RemoteError } from '../../errors.ts';
import { parseSenderArgs } from '../../rsync/send/sender-arguments.ts';
import { serveSender } from '../../rsync/send/serve-sender.ts';
import { isDirectory, type Entry, type OpenFile, type Tree } from '../../tree/entry.ts';
import type { Filter } from '../../tree/filter/filter.ts';
import { SftpSession } from '../../transport/sftp/sftp.ts';
import { InProcessRemote } from '../reach/in-process-remote.ts';
import { startUnlessAborted } from '../reach/remote-command.ts';
import type { RemoteSource } from './remote-tree-run.ts';
import { SftpTree } from './sftp-tree.ts';

/** A folder at a server, and the session that reads it. */
export interface SftpFolder {
  readonly session: SftpSession;
  readonly folder: Uint8Array;
}

/**
 * Starts SFTP, and makes sure that it shows the folder.
 *
 * @throws {RemoteError} `sftp-refused`, `command-not-started`; as `SftpTree.root`
 */
export async function openSftpFolder(source: RemoteSource): Promise<SftpFolder> {
  const { remote, path, timeoutSec, signal } = source;
  const { shownName } = remote;
  if (remote.startSubsystem === undefined) {
    throw new RemoteError('sftp-refused', `${shownName}: SFTP needs a destination over ssh`);
  }
  const connection = await startUnlessAborted(remote.startSubsystem('sftp'), signal);
  const idleTimeoutMs = timeoutSec * 1000;
  const session = await SftpSession.open(connection, { shownName, idleTimeoutMs, signal });
  const folder = Buffer.from(path.length > 1 ? path.replace(/\/+$/, '') : path);
  await new SftpTree(session, folder).root().catch((error: unknown) => {
    session.destroy();
    throw error;
  });
  return { session, folder };
}

/** Whether an error of starting rsync suggests that the login allows only SFTP. */
export function mayBeSftpOnly(error: unknown): boolean {
  return error instanceof RemoteError && error.code !== 'source-missing';
}

/**
 * The same folder, read over SFTP. Times are whole seconds, owners are numbers, and each name of a
 * hard-linked file becomes a separate file.
 *
 * @throws as {@link openSftpFolder}
 */
export async function sftpSource(source: RemoteSource): Promise<RemoteSource> {
  const { session, folder } = await openSftpFolder(source);
  const remote = new InProcessRemote((words) => {
    const { options } = parseSenderArgs(words);
    return (peer, onStderr, onFailure) =>
      serveSender(peer, {
        transfer: options,
        openTree: (filter, onProblem) =>
          new FilteredTree(new SftpTree(session, folder, onProblem), filter),
        onStderr,
        onFailure,
      });
  });
  return { ...source, remote };
}

/** A tree without what a filter excludes. */
class FilteredTree<E extends Entry> implements Tree<E> {
  readonly #tree: Tree<E>;
  readonly #filter: Pick<Filter, 'verdict'>;

  constructor(tree: Tree<E>, filter: Pick<Filter, 'verdict'>) {
    this.#tree = tree;
    this.#filter = filter;
  }

  root(): Promise<E> {
    return this.#tree.root();
  }

  async children(directory: E): Promise<readonly E[]> {
    const all = await this.#tree.children(directory);
    return all.filter(
      (entry) => this.#filter.verdict(entry.path, isDirectory(entry)) !== 'exclude',
    );
  }

  open(entry: E): Promise<OpenFile> {
    return this.#tree.open(entry);
  }
}
