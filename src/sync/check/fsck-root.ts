/**
 * Checks the files in the root of a copy that have no plaintext: the conf, and leftovers of pushes.
 */
import { EcsyncError } from '../../errors.ts';
import { parseConf, type Conf } from '../../gocryptfs/conf/config.ts';
import { CONF_LENGTH_MAX } from '../../gocryptfs/format/limits.ts';
import { CONF_NAME_BYTES, TEMPORARY_DIRECTORY } from '../../gocryptfs/names/names.ts';
import { isDirectory, type Entry, type Tree } from '../../tree/entry.ts';
import { readSmallFile } from '../../view/decrypt/decrypted-view-listing.ts';
import { joinPath, ROOT_PATH } from '../../bytes/paths.ts';
import type { FsckFinding } from '../copy/fsck-finding.ts';

const TEMPORARY_DIRECTORY_BYTES = Buffer.from(TEMPORARY_DIRECTORY);

const MESSAGES = {
  'conf-missing': 'the copy has no gocryptfs.conf: only the master key opens it',
  'conf-invalid': 'the gocryptfs.conf of the copy is damaged: only the master key opens it',
  'conf-flags-differ': "the gocryptfs.conf of the copy says another layout than the vault's",
  'conf-differs':
    "the gocryptfs.conf of the copy is not the vault's (a new password that was not pushed?)",
} as const;

/**
 * Checks the gocryptfs.conf of a copy. Nothing in a copy authenticates it, so it is compared with
 * one that is known to be right.
 *
 * @param expected - the expected bytes; absent: it only has to exist and be valid
 * @returns a note if it is missing and none is expected
 */
export async function checkConf<C extends Entry>(
  tree: Tree<C>,
  root: C,
  expected: Uint8Array | undefined,
): Promise<FsckFinding | undefined> {
  const file = await lookUp(tree, root, CONF_NAME_BYTES);
  if (file === undefined) {
    return confFinding('conf-missing', expected === undefined ? 'note' : 'damage');
  }
  try {
    const bytes = await readSmallFile(tree, file, CONF_LENGTH_MAX);
    if (bytes === undefined) return confFinding('conf-invalid');
    if (expected !== undefined && Buffer.compare(bytes, expected) === 0) return undefined;
    const conf = tryParse(bytes);
    if (conf === undefined) return confFinding('conf-invalid');
    if (expected === undefined) return undefined;
    return confFinding(
      hasLayoutOf(conf, parseConf(expected)) ? 'conf-differs' : 'conf-flags-differ',
    );
  } catch (error) {
    if (!(error instanceof EcsyncError)) throw error;
    return { ...PLACE, severity: 'unread', code: error.code, message: error.message };
  }
}

/**
 * Reports files in the temporary directory of pushes. The directory itself is in every copy that
 * ecsync has pushed.
 */
export async function checkUnfinished<C extends Entry>(
  tree: Tree<C>,
  root: C,
): Promise<FsckFinding | undefined> {
  const directory = await lookUp(tree, root, TEMPORARY_DIRECTORY_BYTES);
  if (directory === undefined || !isDirectory(directory)) return undefined;
  const { length } = await tree.children(directory);
  if (length === 0) return undefined;
  return {
    severity: 'note',
    code: 'unfinished-push',
    message: 'a push that did not finish has left files behind; they are no part of the copy',
    cipherPath: directory.path,
    plainDirectory: ROOT_PATH,
    kind: 'directory',
  };
}

async function lookUp<C extends Entry>(
  tree: Tree<C>,
  root: C,
  name: Buffer,
): Promise<C | undefined> {
  if (tree.child !== undefined) return tree.child(root, name);
  const children = await tree.children(root);
  return children.find(({ path }) => name.equals(path));
}

function tryParse(bytes: Uint8Array): Conf | undefined {
  try {
    return parseConf(bytes);
  } catch (error) {
    if (error instanceof EcsyncError) return undefined;
    throw error;
  }
}

function hasLayoutOf(a: Conf, b: Conf): boolean {
  const sameFlags =
    a.flags.size === b.flags.size && [...a.flags].every((flag) => b.flags.has(flag));
  return sameFlags && a.longNameMax === b.longNameMax;
}

const PLACE = {
  cipherPath: joinPath(ROOT_PATH, CONF_NAME_BYTES),
  plainDirectory: ROOT_PATH,
  kind: 'file',
} as const;

function confFinding(
  code: keyof typeof MESSAGES,
  severity: FsckFinding['severity'] = 'damage',
): FsckFinding {
  return { ...PLACE, severity, code, message: MESSAGES[code] };
}
