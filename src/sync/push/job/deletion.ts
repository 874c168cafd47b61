/**
 * What a push may delete, as filter rules in cipher names. The first rule that matches wins:
 * `protect` keeps, `risk` allows, and so does no match.
 *
 * Deleting takes two passes. The first removes content and leaves every diriv and `.name` file, so
 * that the rest stays readable at any moment. The second removes the emptied folders.
 */
import {
  NAME_FILE_SUFFIX,
  LONG_NAME_PREFIX,
  DIR_IV_NAME,
  STEP_PREFIX,
  TEMPORARY_DIRECTORY,
} from '../../../gocryptfs/names/names.ts';
import type { ReceiverRule } from '../../../rsync/flist/filter-list.ts';
import type { PushView } from '../source/push-entry.ts';
import type { Selection } from '../source/selection.ts';
import { isAtOrBelow, parentKey, pathKey } from '../../../bytes/paths.ts';

/** @param pattern - as rsync reads it; text is Latin-1 */
function rule(action: ReceiverRule['action'], pattern: string | Uint8Array): ReceiverRule {
  return {
    action,
    pattern: typeof pattern === 'string' ? Buffer.from(pattern, 'latin1') : pattern,
  };
}

/** Above this number of excluded objects, whole folders are protected instead. */
const PROTECT_RULES_MAX = 10_000;

/** Longest pattern that fits into a rule in every case. */
const PATTERN_LENGTH_MAX = 5000;

const LONG_NAME = /(^|\/)gocryptfs\.longname\.[^/]*$/;

export interface DeletionScope {
  /** Tells which special files exist. With plaintext names there are none. */
  readonly names: PushView['names'];
  /** Cipher paths (Latin-1 keys) of source objects that the user's filters exclude. */
  readonly excluded: readonly string[];
  /** Cipher paths a push is limited to; empty: everything. */
  readonly within: readonly string[];
  /** Cipher paths of lost mount points, where nothing is deleted. Absent: there are none. */
  readonly unmounted?: readonly string[];
  /** Foreign objects that are kept in the copy. */
  readonly keep?: readonly ReceiverRule[];
  /**
   * Cipher paths of folders whose content is left out. Their content in the copy is not changed.
   */
  readonly closed?: readonly string[];
  /** Also delete objects that no push can have written. Default false. */
  readonly removesForeign?: boolean;
}

/**
 * Translates a selection's plaintext paths into cipher names, which the server knows.
 *
 * @param lostMounts - Latin-1 keys of plaintext paths
 */
export function deletionScope(
  selection: Selection,
  view: PushView,
  lostMounts: readonly string[],
  keep: readonly ReceiverRule[] = [],
): DeletionScope {
  const cipherKey = (path: Uint8Array): string => pathKey(view.cipherPath(path));
  return {
    names: view.names,
    excluded: selection.excluded.map(cipherKey),
    within: selection.within.map((path) => cipherKey(Buffer.from(path, 'latin1'))),
    unmounted: lostMounts.map((path) => cipherKey(Buffer.from(path, 'latin1'))),
    closed: selection.mountPoints.map(cipherKey),
    keep,
  };
}

/** Whether even a push that deletes everything leaves this cipher path (Latin-1 key) alone. */
export function isProtected(scope: DeletionScope, key: string): boolean {
  const isIn = (place: string): boolean => isAtOrBelow(key, place);
  const { excluded, within, unmounted = [], closed = [] } = scope;
  if (within.length > 0 && !within.some(isIn)) return true;
  return [excluded, unmounted, closed].some((paths) => paths.some(isIn));
}

/** The plaintext paths that the destination may still hold after a push that deleted everything. */
export function whatIsKept({
  scope,
  context: { view },
}: {
  readonly scope: DeletionScope;
  readonly context: { readonly view: PushView };
}): (plainPath: Uint8Array) => boolean {
  return (plainPath) => isProtected(scope, pathKey(view.cipherPath(plainPath)));
}

/**
 * A path as a pattern that matches only itself. Encrypted paths contain no wildcards, but plaintext
 * ones may. rsync treats a backslash as an escape only in patterns with wildcards.
 *
 * @param isWild - the pattern gets a wildcard of its own
 */
function literal(path: string, isWild = false): string {
  return isWild || /[*?[]/.test(path) ? path.replace(/[\\*?[]/g, '\\$&') : path;
}

/** A rule that protects a path. If escaping makes it too long, it protects more than this path. */
function protect(path: string, wildcard = ''): ReceiverRule {
  const pattern = literal(path, wildcard !== '') + wildcard;
  if (pattern.length <= PATTERN_LENGTH_MAX) return rule('protect', `/${pattern}`);
  return rule('protect', `/${path.replace(/[\\*?[]/g, '?')}${wildcard}`);
}

/** Rules that allow a path to be deleted. None if escaping makes them too long. */
function risk(path: string): ReceiverRule[] {
  const below = `${literal(path, true)}/**`;
  if (below.length > PATTERN_LENGTH_MAX) return [];
  return [rule('risk', `/${literal(path)}`), rule('risk', `/${below}`)];
}

/** The same rule for the `.name` file of a path that has one. */
function nameFileRule(
  scope: DeletionScope,
  action: ReceiverRule['action'],
  path: string,
): ReceiverRule[] {
  if (scope.names.isPlain || !LONG_NAME.test(path)) return [];
  return [rule(action, `/${path}.name`)];
}

/** Protects excluded objects that still exist in the source, and what folders that were not read hold. */
function protectExcluded(scope: DeletionScope): ReceiverRule[] {
  const closed = (scope.closed ?? []).map((path) => protect(path, '/**'));
  return [...closed, ...protectNames(scope)];
}

function protectNames(scope: DeletionScope): ReceiverRule[] {
  const { excluded } = scope;
  if (excluded.length > PROTECT_RULES_MAX) {
    const folders = new Set(excluded.map((path) => path.slice(0, path.lastIndexOf('/') + 1)));
    return [...folders].map((folder) => protect(folder, '*'));
  }
  return excluded.flatMap((path) => [protect(path), ...nameFileRule(scope, 'protect', path)]);
}

/** Protects the content of an unmounted disk, and its folder. */
function protectUnmounted({ unmounted = [], ...scope }: DeletionScope): ReceiverRule[] {
  return unmounted.flatMap((path) =>
    path === '.'
      ? [rule('protect', '*')]
      : [protect(path), protect(path, '/**'), ...nameFileRule(scope, 'protect', path)],
  );
}

function limitTo(scope: DeletionScope): ReceiverRule[] {
  const { within } = scope;
  if (within.length === 0) return [];
  const allowed = within.flatMap((path) => [...risk(path), ...nameFileRule(scope, 'risk', path)]);
  return [...allowed, rule('protect', '*')];
}

/** Protects the special files that keep the remaining content readable. */
function protectSpecialFiles({ names }: DeletionScope): ReceiverRule[] {
  return [
    ...(names.hasDirIVs ? [rule('protect', DIR_IV_NAME)] : []),
    ...(names.isPlain ? [] : [rule('protect', `${LONG_NAME_PREFIX}*${NAME_FILE_SUFFIX}`)]),
  ];
}

/** The shortest encrypted name: 16 bytes in base64. */
const CIPHER_NAME = '?'.repeat(22);

/** What temporary names of rsync, and of a local folder of ours, end with. */
const UNFINISHED_ENDS = ['??????', `${'[0-9a-f]'.repeat(8)}?*`];

/**
 * Protects what no push can have written, whenever it was put there: names that are no encrypted
 * ones. So a whole copy inside the copy, or somebody's folder of photos, survives. What remains of
 * interrupted runs of rsync does not.
 */
export function protectForeign({
  names,
  within,
  removesForeign = false,
}: Pick<DeletionScope, 'names' | 'within' | 'removesForeign'>): ReceiverRule[] {
  // The rules of a push that is limited to some paths end with one that protects all others.
  if (names.isPlain || removesForeign || within.length > 0) return [];
  return [
    rule('risk', 'gocryptfs.*'),
    ...UNFINISHED_ENDS.flatMap((end) => [
      rule('risk', `.${CIPHER_NAME}*.${end}`),
      rule('risk', `.gocryptfs.*.${end}`),
    ]),
    ...['.~tmp~', '.rsync-partial'].map((name) => rule('risk', name)),
    rule('protect', '*[!A-Za-z0-9_=-]*'),
    rule('risk', `${CIPHER_NAME}*`),
    rule('protect', '*'),
  ];
}

/**
 * First pass: content only.
 *
 * @param isSwept - the temporary directory will be emptied anyway, so staged files need not be
 *   deleted now, and protecting some of them requires no second pass
 */
export function contentRules(scope: DeletionScope, isSwept = false): ReceiverRule[] {
  return [
    ...(scope.keep ?? []),
    rule('protect', `/${TEMPORARY_DIRECTORY}`),
    ...(isSwept ? [rule('protect', `/${TEMPORARY_DIRECTORY}/**`)] : []),
    ...protectSpecialFiles(scope),
    ...protectUnmounted(scope),
    ...protectExcluded(scope),
    ...limitTo(scope),
    ...protectForeign(scope),
  ];
}

/**
 * The first pass when the destination is full.
 *
 * @param left - old cipher paths of moved objects, whose new names may not exist yet
 * @returns undefined if there are too many of them
 */
export function roomRules(
  scope: DeletionScope,
  left: ReadonlySet<string>,
): ReceiverRule[] | undefined {
  if (left.size > PROTECT_RULES_MAX) return undefined;
  return [...[...left].map((path) => protect(path)), ...contentRules(scope)];
}

/** Keeps undeletable content readable: protects every diriv and `.name` file on the way to it. */
function keepReadable(remaining: readonly string[]): ReceiverRule[] {
  const kept = new Set<string>();
  for (const path of remaining) {
    for (let key = path; key !== '.'; key = parentKey(key)) {
      if (key !== path) kept.add(`/${key}/${DIR_IV_NAME}`);
      if (LONG_NAME.test(key)) kept.add(`/${key}${NAME_FILE_SUFFIX}`);
    }
  }
  return [...kept].map((path) => rule('protect', path));
}

/**
 * Second pass: emptied folders with their diriv, orphaned `.name` files, staged leftovers.
 *
 * @param remaining - cipher paths of content that the first pass could not delete
 */
export function pruneRules(
  scope: DeletionScope,
  remaining: readonly string[] = [],
): ReceiverRule[] {
  return [
    ...(scope.keep ?? []),
    ...(scope.names.isPlain ? [] : keepReadable([...remaining, ...(scope.unmounted ?? [])])),
    ...protectUnmounted(scope),
    ...protectExcluded(scope),
    rule('risk', `/${TEMPORARY_DIRECTORY}/**`),
    ...limitTo(scope),
    ...protectForeign(scope),
  ];
}

/**
 * Removes these folders if they are empty, with their `.name` files, and nothing else. Their parent
 * folders stay, even if they are gone from the source.
 *
 * @param folders - cipher paths as keys
 */
export function halfFolderRules(folders: ReadonlySet<string>): ReceiverRule[] {
  const onTheWay = new Set<string>();
  for (const folder of folders) {
    for (let key = folder; key !== '.'; key = parentKey(key)) onTheWay.add(key);
  }
  return [
    ...[...onTheWay].map((key) => rule('risk', `/${literal(key)}`)),
    ...[...folders]
      .filter((key) => LONG_NAME.test(key))
      .map((key) => rule('risk', `/${key}${NAME_FILE_SUFFIX}`)),
    rule('protect', '*'),
  ];
}

/**
 * Rules of a dry run that reports everything that both passes would remove, except our own
 * leftovers, and with it what {@link protectForeign} protects.
 */
export function previewRules(scope: DeletionScope): ReceiverRule[] {
  return [
    ...(scope.keep ?? []),
    rule('protect', `/${TEMPORARY_DIRECTORY}`),
    ...protectUnmounted(scope),
    ...protectExcluded(scope),
    ...limitTo(scope),
  ];
}

/** Empties the temporary directory, removes intermediate names of moved files, and nothing else. */
export function sweepRules(): ReceiverRule[] {
  return [
    rule('risk', `/${TEMPORARY_DIRECTORY}/**`),
    rule('risk', `/${STEP_PREFIX}*.name`),
    rule('protect', '*'),
  ];
}
