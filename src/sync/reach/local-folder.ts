/** A folder of this machine as a destination. */
import path from 'node:path';
import { FileError, RemoteError } from '../../errors.ts';
import { isDryRun, parseServerArgs, type TransferOptions } from '../../rsync/wire/options.ts';
import { DIR_IV_NAME } from '../../gocryptfs/names/names.ts';
import { serve } from '../../rsync/receive/server.ts';
import { syncFileSystem } from '../../transport/programs/sync-file-system.ts';
import { LocalStore } from '../../tree/target/local-store.ts';
import { folderIdentity } from '../../tree/local/glance.ts';
import { groupIds, userIds } from '../../tree/local/owner-names.ts';
import { prepareFolder } from '../../tree/target/prepare-folder.ts';
import { InProcessRemote, type InProcessServer } from './in-process-remote.ts';
import { makeSpecial } from './local-special.ts';

/** rsync's exit status for errors in file input and output. */
const FILE_IO_STATUS = 11;

/** How a local folder stores what is pushed. */
export interface LocalFolderOptions {
  /** Write whole files without comparing them with existing ones. Default false. */
  readonly wholeFile?: boolean;
  /** Write a new version to the disk before it replaces the old one. Default true. */
  readonly durable?: boolean;
}

/**
 * A folder of this machine as a destination. {@link start} rejects with {@link UsageError}
 * `server-words-invalid`, and with {@link RemoteError} `destination-unusable` when the folder
 * cannot be made or is no folder. {@link RemoteError} `destination-moved`, also as the failure of a
 * run, when it is not the folder any more that an earlier run or the beginning of this one found.
 */
export class LocalFolderRemote extends InProcessRemote {
  constructor(options: LocalFolderOptions = {}) {
    const identities = new FolderIdentities();
    super((words) => folderServer(words, options, identities));
  }
}

/** The folders that runs of one login have written to: each must stay the one that it was. */
class FolderIdentities {
  readonly #seen = new Map<string, string>();

  /** @throws {RemoteError} `destination-moved` — it was moved, removed or replaced between two runs */
  assertSame(folder: string): void {
    const before = this.#seen.get(folder);
    if (before === undefined || before === folderIdentity(folder)) return;
    throw new RemoteError(
      'destination-moved',
      `${folder} was moved or replaced while it was written`,
      { hint: 'Is its disk still mounted? Push again.', facts: { path: folder } },
    );
  }

  note(folder: string): void {
    const identity = folderIdentity(folder);
    if (identity !== undefined) this.#seen.set(folder, identity);
  }
}

function folderServer(
  words: readonly string[],
  { wholeFile = false, durable = true }: LocalFolderOptions,
  identities: FolderIdentities,
): InProcessServer {
  const { options, destination } = parseServerArgs(words);
  const folder = path.resolve(destination);
  identities.assertSame(folder);
  const rootIsNew = prepare(folder, options);
  if (!isDryRun(options)) identities.note(folder);
  return async (peer, onStderr, onFailure) => {
    const { tempDir, linkDest, compareDest, copyDest } = options;
    const earlier = linkDest ?? compareDest ?? copyDest;
    const store = new LocalStore(folder, {
      durable,
      makeSpecial,
      keyName: DIR_IV_NAME,
      ...(process.platform === 'linux' && { syncFileSystem }),
      ...(tempDir !== undefined && { tempDir }),
      ...(earlier !== undefined && { earlier }),
    });
    try {
      const status = await serve(peer, store, {
        transfer: options,
        localDefaults: { users: userIds(), groups: groupIds() },
        wholeFile,
        rootIsNew,
        onStderr,
      });
      identities.assertSame(folder);
      return status;
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      onStderr(`rsync: ${error.message}`);
      onFailure(error);
      return FILE_IO_STATUS;
    } finally {
      store.close();
    }
  };
}

function prepare(folder: string, options: TransferOptions): boolean {
  try {
    return prepareFolder(folder, isDryRun(options));
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const { message, hint, facts } = error;
    throw new RemoteError('destination-unusable', message, {
      ...(hint !== undefined && { hint }),
      facts,
      cause: error,
    });
  }
}
