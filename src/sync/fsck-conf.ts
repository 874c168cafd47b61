import { EcsyncError } from '../errors.ts';
import { parseConf, type Conf } from '../gocryptfs/config.ts';
import { CONF_LENGTH_MAX } from '../gocryptfs/limits.ts';
import { CONF_NAME } from '../gocryptfs/names.ts';
import type { Entry, Tree } from '../tree/entry.ts';
import { readSmallFile } from '../view/decrypted-view-listing.ts';
import { joinPath, ROOT_PATH } from '../view/path-bytes.ts';
import type { Finding } from './fsck-finding.ts';

const CONF_NAME_BYTES = Buffer.from(CONF_NAME);

const MESSAGES = {
  'conf-missing': 'the copy has no gocryptfs.conf: only the master key opens it',
  'conf-invalid': 'the gocryptfs.conf of the copy is damaged: only the master key opens it',
  'conf-flags-differ': "the gocryptfs.conf of the copy says another layout than the vault's",
  'conf-differs':
    "the gocryptfs.conf of the copy is not the vault's (a new password that was not pushed?)",
} as const;

/**
 * What is wrong with the gocryptfs.conf in a copy. Nothing in a copy vouches for it: compare it
 * with one that is known to be right.
 *
 * @param expected - the bytes it should have; absent: it should only be there and be valid
 * @returns a note for a missing one where none is expected
 */
export async function checkConf<C extends Entry>(
  tree: Tree<C>,
  root: C,
  expected: Uint8Array | undefined,
): Promise<Finding | undefined> {
  const file = await lookUp(tree, root);
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

async function lookUp<C extends Entry>(tree: Tree<C>, root: C): Promise<C | undefined> {
  if (tree.child !== undefined) return tree.child(root, CONF_NAME_BYTES);
  const children = await tree.children(root);
  return children.find(({ path }) => CONF_NAME_BYTES.equals(path));
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
  severity: Finding['severity'] = 'damage',
): Finding {
  return { ...PLACE, severity, code, message: MESSAGES[code] };
}
