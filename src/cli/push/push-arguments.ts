/** Interprets the arguments `[REMOTE] [PATH…]` of a push. */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { pushTarget, type PushTargetContext } from '../../library/settings/push-target.ts';
import { noRemote } from '../../vault/config/config-edit.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import { resolveEscaped } from '../frame/escaped-paths.ts';
import { inside } from '../../tree/local/overlap.ts';
import { pathMissing, realPath } from '../frame/vault-paths.ts';

/** The meaning of `[REMOTE] [PATH…]`. */
export interface PushArguments {
  readonly destination: Destination;
  /** As typed. */
  readonly paths: readonly string[];
}

/**
 * Interprets `[REMOTE] [PATH…]`. The first argument is a configured name, or a destination (it has
 * a colon or starts with `/`, `./`, `../` or a drive). Without arguments: the first configured
 * remote.
 *
 * @throws {UsageError} `no-remote`, `destination-invalid`, `destination-password`,
 *   `remote-and-path`
 */
export function readPushArguments(
  words: readonly string[],
  context: PushTargetContext,
): PushArguments {
  const { remotes, folder } = context;
  const [first, ...paths] = words;
  const destination = pushTarget(first, context);
  if (destination !== undefined) return { destination, paths };
  if (first !== undefined && exists(path.resolve(folder, first))) {
    const shownName = remotes[0]?.name ?? 'REMOTE';
    throw new UsageError('no-remote', `there is no remote named '${first}'`, {
      hint: `To push only this path, name the remote first: ecsync push ${shownName} ${first}`,
    });
  }
  throw noRemote(first ?? '', remotes);
}

/** The parser for paths of a push: as they are typed, or escaped as `ls` shows them. */
export function pathResolver({
  escaped,
}: {
  readonly escaped?: boolean;
}): typeof resolvePaths | typeof resolveEscaped {
  return escaped === true ? resolveEscaped : resolvePaths;
}

/**
 * Converts typed paths into paths relative to the source, `/`-separated. A pattern that names no
 * existing object is expanded, since not every shell does it.
 *
 * @param onGone - called for a path that does not exist any more, which is valid if the push
 *   deletes; without it that is an error
 * @returns empty if everything is selected
 * @throws {UsageError} `path-outside`, `path-missing`
 */
export async function resolvePaths(
  paths: readonly string[],
  { folder, source }: Pick<PushTargetContext, 'folder' | 'source'>,
  onGone?: (typed: string) => void,
): Promise<readonly string[]> {
  const resolved: string[] = [];
  for (const typed of paths) {
    const { start, word } = onDisk(typed, { folder, source });
    for (const found of await expand(word, start, onGone)) {
      resolved.push(relativeToSource(path.resolve(start, found), source, typed));
    }
  }
  return resolved.includes('') ? [] : resolved;
}

/** The rule of `pathFromTop` for existing objects. */
function onDisk(
  typed: string,
  { folder, source }: Pick<PushTargetContext, 'folder' | 'source'>,
): { readonly start: string; readonly word: string } {
  const top = realPath(source);
  if (!path.isAbsolute(typed)) {
    const isHere = inside(top, realPath(folder)) !== undefined;
    return { start: isHere ? folder : source, word: typed };
  }
  const isInside =
    inside(source, typed) !== undefined || inside(top, realPlace(typed)) !== undefined;
  const hasDrive = /^[A-Za-z]:/.test(typed);
  if (isInside || hasDrive) return { start: folder, word: typed };
  return { start: source, word: `.${typed}` };
}

/** A link exists even if its target does not. */
function exists(absolute: string): boolean {
  try {
    fs.lstatSync(absolute);
    return true;
  } catch {
    return false; // Missing, or impossible to examine.
  }
}

async function expand(
  typed: string,
  folder: string,
  onGone?: (typed: string) => void,
): Promise<readonly string[]> {
  if (exists(path.resolve(folder, typed))) return [typed];
  if (/[*?[{]/.test(typed)) {
    const { default: glob } = await import('fast-glob');
    const pattern = path.sep === '\\' ? glob.convertPathToPattern(typed) : typed;
    const found = await glob(path.sep === '\\' ? unescapeMagic(pattern) : pattern, {
      cwd: folder,
      dot: false,
      onlyFiles: false,
      followSymbolicLinks: false,
    });
    if (found.length > 0) return found.sort();
  }
  if (onGone !== undefined) {
    onGone(typed);
    return [typed];
  }
  throw pathMissing(path.resolve(folder, typed));
}

/** `convertPathToPattern` flips backslashes, and escapes pattern characters. */
function unescapeMagic(pattern: string): string {
  return pattern.replace(/\\(?=[*?[\]{}()!+@])/g, '');
}

/** Resolves links on the way to the object, since the scan finds it only under its real path. */
function relativeToSource(absolute: string, source: string, typed: string): string {
  if (path.relative(source, absolute) === '') return '';
  const relative = inside(realPath(source), realPlace(absolute));
  if (relative === undefined) {
    throw new UsageError('path-outside', `${typed} is outside the vault's folder ${source}`, {
      hint: 'Name paths inside the folder that is pushed.',
    });
  }
  return relative.split(path.sep).join('/');
}

/**
 * The real path of the folder with the object's own name, since the object itself may be a symlink.
 */
function realPlace(absolute: string): string {
  const above = path.dirname(absolute);
  const isThere = above === absolute || exists(above);
  return path.join(isThere ? realPath(above) : realPlace(above), path.basename(absolute));
}
