import { TEMPORARY_DIRECTORY } from '../gocryptfs/names.ts';
import type { ReceiverRule } from '../rsync/filter-list.ts';
import type { PushView } from './push-entry.ts';
import type { Selection } from './selection.ts';
import { parentKey } from './skeleton.ts';
import { pathKey } from '../view/path-bytes.ts';

/**
 * What the server may delete, as rules for its delete pass. First match wins; "protect" keeps,
 * "risk" allows, no match allows.
 *
 * Deleting takes two passes. The first removes content and leaves every diriv and `.name` file, so
 * that what is still there stays readable at each moment; the second removes the emptied folders.
 */
function rule(action: ReceiverRule['action'], pattern: string | Uint8Array): ReceiverRule {
  return {
    action,
    pattern: typeof pattern === 'string' ? Buffer.from(pattern, 'latin1') : pattern,
  };
}

/** Above this many excluded objects of one push, whole folders are protected instead. */
const PROTECT_RULES_MAX = 10_000;

const LONG_NAME = /(^|\/)gocryptfs\.longname\.[^/]*$/;

export interface DeletionScope {
  /** Cipher paths (Latin-1 keys) of source objects that the user's filters exclude. */
  readonly excluded: readonly string[];
  /** Cipher paths a push is limited to; empty: everything. */
  readonly within: readonly string[];
}

/** Tells a selection's plaintext paths in cipher names, which is all the server knows. */
export function deletionScope(selection: Selection, view: PushView): DeletionScope {
  const cipherKey = (path: Uint8Array): string => pathKey(view.cipherPath(path));
  return {
    excluded: selection.excluded.map(cipherKey),
    within: selection.within.map((path) => cipherKey(Buffer.from(path, 'latin1'))),
  };
}

/** An excluded object that still exists in the source is left alone at the destination. */
function protectExcluded(excluded: readonly string[]): ReceiverRule[] {
  if (excluded.length > PROTECT_RULES_MAX) {
    const folders = new Set(excluded.map((path) => path.slice(0, path.lastIndexOf('/') + 1)));
    return [...folders].map((folder) => rule('protect', `/${folder}*`));
  }
  return excluded.flatMap((path) => [
    rule('protect', `/${path}`),
    ...(LONG_NAME.test(path) ? [rule('protect', `/${path}.name`)] : []),
  ]);
}

function limitTo(within: readonly string[]): ReceiverRule[] {
  if (within.length === 0) return [];
  const allowed = within.flatMap((path) => [
    rule('risk', `/${path}`),
    rule('risk', `/${path}/**`),
    ...(LONG_NAME.test(path) ? [rule('risk', `/${path}.name`)] : []),
  ]);
  return [...allowed, rule('protect', '*')];
}

/** First pass: content only. */
export function contentRules(scope: DeletionScope): ReceiverRule[] {
  return [
    rule('protect', `/${TEMPORARY_DIRECTORY}`),
    rule('protect', 'gocryptfs.diriv'),
    rule('protect', 'gocryptfs.longname.*.name'),
    ...protectExcluded(scope.excluded),
    ...limitTo(scope.within),
  ];
}

/** Keeps what the server could not delete readable: every diriv and `.name` file on the way to it. */
function keepReadable(remaining: readonly string[]): ReceiverRule[] {
  const kept = new Set<string>();
  for (const path of remaining) {
    for (let key = path; key !== '.'; key = parentKey(key)) {
      if (key !== path) kept.add(`/${key}/gocryptfs.diriv`);
      if (LONG_NAME.test(key)) kept.add(`/${key}.name`);
    }
  }
  return [...kept].map((path) => rule('protect', path));
}

/**
 * Second pass: emptied folders with their diriv, orphaned `.name` files, staged leftovers.
 *
 * @param remaining - cipher paths of content that the first pass should have deleted and could not
 */
export function pruneRules(
  scope: DeletionScope,
  remaining: readonly string[] = [],
): ReceiverRule[] {
  return [
    ...keepReadable(remaining),
    ...protectExcluded(scope.excluded),
    rule('risk', `/${TEMPORARY_DIRECTORY}/**`),
    ...limitTo(scope.within),
  ];
}

/** A dry run that counts: everything both passes would remove, but not our own leftovers. */
export function previewRules(scope: DeletionScope): ReceiverRule[] {
  return [
    rule('protect', `/${TEMPORARY_DIRECTORY}`),
    ...protectExcluded(scope.excluded),
    ...limitTo(scope.within),
  ];
}

/** Empties the temporary directory and touches nothing else. */
export function sweepRules(): ReceiverRule[] {
  return [rule('risk', `/${TEMPORARY_DIRECTORY}/**`), rule('protect', '*')];
}
