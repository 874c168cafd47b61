/** A folder of this machine as a destination. */
import path from 'node:path';
import { FileError, RemoteError } from '../../errors.ts';
import { isDryRun, parseServerArgs, type TransferOptions } from '../../rsync/wire/options.ts';
import { DIR_IV_NAME } from '../../gocryptfs/names/names.ts';
import { serve } from '../../rsync/receive/server.ts';
import { syncFileSystem } from '../../transport/programs/sync-file-system.ts';
import { LocalStore } from '../../tree/target/local-store.ts';
import { groupIds, userIds } from '../../tree/local/owner-names.ts';
import { prepareFolder } from '../../tree/target/prepare-folder.ts';
import { InProcessRemote, type InProcessServer } from './in-process-remote.ts';
import { makeSpecial } from './local-special.ts';

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
 * cannot be made or is no folder.
 */
export class LocalFolderRemote extends InProcessRemote {
  constructor(options: LocalFolderOptions = {}) {
    super((words) => folderServer(words, options));
  }
}

function folderServer(
  words: readonly string[],
  { wholeFile = false, durable = true }: LocalFolderOptions,
): InProcessServer {
  const { options, destination } = parseServerArgs(words);
  const folder = path.resolve(destination);
  const rootIsNew = prepare(folder, options);
  return async (peer, onStderr) => {
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
      return await serve(peer, store, {
        transfer: options,
        localDefaults: { users: userIds(), groups: groupIds() },
        wholeFile,
        rootIsNew,
        onStderr,
      });
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
