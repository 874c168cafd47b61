/** Opens the copy that is being adopted: its structure and its conf. */
import {
  FileError,
  RemoteError,
  VanishedError,
  VaultError,
  type EcsyncError,
  type RemoteCode,
} from '../../errors.ts';
import { CONF_LENGTH_MAX } from '../../gocryptfs/format/limits.ts';
import { CONF_NAME_BYTES } from '../../gocryptfs/names/names.ts';
import type { Entry, Tree } from '../../tree/entry.ts';
import { LocalTree } from '../../tree/local/local-tree.ts';
import { readSmallFile } from '../../view/decrypt/decrypted-view-listing.ts';
import { confMissing, refuseMirror } from '../copy/copy-root.ts';
import type { CopyTree } from '../copy/derivation.ts';
import type { OpenDestination } from '../reach/destination-remote.ts';
import type { PushSettings } from '../push/source/push-settings.ts';
import type { RootAttributes } from '../push/memory/push-state.ts';
import { RemoteTree } from '../copy/remote-tree.ts';
import { attributesOf } from '../push/guards/existing-root.ts';

const CIPHER_DIR_HINT =
  'Adopting reads the copy: allow that login to read it, or name a local copy of it with --cipherdir DIR.';

/** Where the structure of a copy is read. */
export interface CopySettings extends Pick<
  PushSettings,
  'destination' | 'rsyncPath' | 'timeoutSec' | 'protocolMax'
> {
  /** A local folder with the same content, read instead. */
  readonly cipherDir?: string;
  /** Accept folders that have the IVs of others. Default: that is damage. */
  readonly keepsMisplaced?: boolean;
}

/** A copy whose structure can be read. */
export interface OpenCopy {
  readonly tree: CopyTree<Entry>;
  /** The root of the destination. Absent if another folder was read. */
  readonly root?: RootAttributes;
  /** Stream bytes so far; 0 for a local folder. */
  traffic(): { readonly bytesSent: number; readonly bytesReceived: number };
  /** @throws {FileError} a part of the copy could not be read and is missing from the listing */
  assertWhole(): void;
}

/** The conf of a copy, with its time. */
export interface CopyConf {
  readonly bytes: Uint8Array;
  readonly mtimeSec: number;
}

/**
 * Lists a copy.
 *
 * @param warn - receives what vanished meanwhile
 * @throws {VaultError} `copy-missing` — the local folder does not exist
 * @throws {LoginError | ConnectionError | RemoteError | ProtocolError | FileError} the peer
 */
export async function openCopyToAdopt(
  settings: CopySettings,
  opened: OpenDestination,
  { signal, warn }: { readonly signal: AbortSignal; readonly warn: (error: EcsyncError) => void },
): Promise<OpenCopy> {
  const { destination, cipherDir } = settings;
  if (cipherDir !== undefined) return openFolder(cipherDir);
  if (destination.kind === 'local') return openFolder(destination.path);
  const { rsyncPath = 'rsync', timeoutSec, protocolMax } = settings;
  const source = { ...opened, rsyncPath, timeoutSec, protocolMax, signal };
  const tree = await RemoteTree.list(source).catch(explainUnreadable);
  const { incomplete } = tree;
  const root = attributesOf(await tree.root());
  if (incomplete instanceof VanishedError) warn(incomplete);
  return {
    tree,
    root,
    traffic: () => tree.traffic,
    assertWhole: () => {
      if (incomplete !== undefined && !(incomplete instanceof VanishedError)) throw incomplete;
    },
  };
}

async function openFolder(folder: string): Promise<OpenCopy> {
  const problems: EcsyncError[] = [];
  const tree = new LocalTree(folder, { onProblem: (_path, error) => problems.push(error) });
  await tree.root().catch((cause: unknown) => {
    throw cause instanceof FileError ? copyMissing(folder, cause) : cause;
  });
  return {
    tree,
    traffic: () => ({ bytesSent: 0, bytesReceived: 0 }),
    assertWhole: () => {
      const [first] = problems;
      if (first !== undefined) throw first;
    },
  };
}

function copyMissing(folder: string, cause: unknown): VaultError {
  return new VaultError('copy-missing', `${folder} is not a folder that can be opened`, {
    hint: 'Is its disk mounted?',
    cause,
  });
}

const UNREADABLE: ReadonlySet<RemoteCode> = new Set([
  'source-forbidden',
  'remote-exit',
  'no-greeting',
]);

/** Explains the failure of a login that may only write. */
function explainUnreadable(error: unknown): never {
  if (!(error instanceof RemoteError)) throw error;
  if (!UNREADABLE.has(error.code)) throw error;
  const { code, message, facts } = error;
  throw new RemoteError(code, message, { hint: CIPHER_DIR_HINT, facts, cause: error });
}

const CONF_MISSING_HINT =
  'Name the folder that holds it. A copy that lost it can be read, not continued: `ecsync restore --from … --masterkey=stdin`.';

/**
 * Reads the conf of a copy.
 *
 * @throws {VaultError} `conf-missing`, `conf-unusable`, `not-encrypted`
 */
export async function readCopyConf<C extends Entry>(
  tree: Tree<C>,
  shownCopy: string,
): Promise<CopyConf> {
  const root = await tree.root();
  const children = await tree.children(root);
  const file = children.find(({ path }) => CONF_NAME_BYTES.equals(path));
  if (file === undefined) {
    await refuseMirror(tree, shownCopy);
    throw confMissing(shownCopy, CONF_MISSING_HINT);
  }
  const bytes = await readSmallFile(tree, file, CONF_LENGTH_MAX);
  if (bytes === undefined) {
    throw new VaultError('conf-unusable', `the gocryptfs.conf of ${shownCopy} is not one`, {
      hint: 'Put the right one there first.',
    });
  }
  return { bytes, mtimeSec: file.mtimeSec };
}
