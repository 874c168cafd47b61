/** Filter rules that make a server list only what is wanted. */
import type { SenderRule } from '../../rsync/flist/filter-list.ts';
import { isRootPath, pathKey } from '../../bytes/paths.ts';

/** Longest pattern that fits into a rule in every case. */
const PATTERN_LENGTH_MAX = 5000;

/**
 * A pattern that matches a path. If escaping makes it too long, it may match a few other paths too.
 */
function patternOf(key: string): Uint8Array {
  const escaped = /[*?[]/.test(key) ? key.replace(/[\\*?[]/g, '\\$&') : key;
  const fits = escaped.length <= PATTERN_LENGTH_MAX;
  return Buffer.from(`/${fits ? escaped : key.replace(/[\\*?[]/g, '?')}`, 'latin1');
}

/** Rules that make a server list only these paths and the folders on the way to them. */
export function rulesForOnly(paths: Iterable<Uint8Array>): SenderRule[] {
  const shown = new Set<string>();
  for (const path of paths) {
    const key = pathKey(path);
    for (let slash = key.indexOf('/'); slash !== -1; slash = key.indexOf('/', slash + 1)) {
      shown.add(key.slice(0, slash));
    }
    shown.add(key);
  }
  return [
    ...[...shown].map((key): SenderRule => ({ action: 'show', pattern: patternOf(key) })),
    { action: 'hide', pattern: Buffer.from('*') },
  ];
}

/** Rules that make a server list only a folder's children and the folders on the way to it. */
export function rulesForChildren(directory: Uint8Array): SenderRule[] {
  const hideAll: SenderRule = { action: 'hide', pattern: Buffer.from('*') };
  if (isRootPath(directory)) return [{ action: 'show', pattern: Buffer.from('/*') }, hideAll];
  const children = Buffer.concat([patternOf(pathKey(directory)), Buffer.from('/*')]);
  return [
    ...rulesForOnly([directory]).slice(0, -1),
    { action: 'show', pattern: children },
    hideAll,
  ];
}
