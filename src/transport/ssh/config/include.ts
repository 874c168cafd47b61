/** Expands the files that an Include of ssh_config names. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';

/** More matching files and folders than this are a mistake. */
const MATCHES_MAX = 10_000;

/**
 * The files of an Include in sorted order, as glob(3) finds them: `*`, `?` and `[…]` work in any
 * part, and hidden names match only if the pattern begins with a dot.
 *
 * @param pattern - absolute, relative to `baseDir`, or beginning with `~/`
 */
export async function expandInclude(
  pattern: string,
  dirs: { readonly baseDir: string; readonly homeDir: string },
): Promise<string[]> {
  const absolute = /^~(?=[/\\]|$)/.test(pattern)
    ? path.join(dirs.homeDir, pattern.slice(1))
    : path.isAbsolute(pattern)
      ? pattern
      : `${dirs.baseDir}/${pattern}`;
  if (!/[*?[]/.test(absolute)) return [path.resolve(absolute)];
  const { root } = path.parse(absolute);
  const parts = absolute
    .slice(root.length)
    .split(/[/\\]+/)
    .filter((part) => part !== '');
  let found = [root];
  for (const part of parts) {
    if (!/[*?[]/.test(part)) {
      found = found.map((dir) => path.join(dir, part));
      continue;
    }
    const matches = globPart(part);
    const lists = await Promise.all(
      found.map(async (dir) => {
        const names = await readdir(dir).catch(() => []); // as if the pattern matched nothing
        return names
          .filter(matches)
          .sort()
          .map((name) => path.join(dir, name));
      }),
    );
    found = lists.flat().slice(0, MATCHES_MAX);
  }
  return found;
}

/** @returns a test for names that match one part of a pattern */
function globPart(part: string): (name: string) => boolean {
  const source = part.replace(
    /\[(!?)([^\]]+)\]|[\\^$.|+(){}[\]*?]/g,
    (char, not: string, set: string | undefined) => {
      if (set !== undefined) return `[${not === '' ? '' : '^'}${set.replace(/[\\\]^[]/g, '\\$&')}]`;
      if (char === '*') return '.*';
      return char === '?' ? '.' : `\\${char}`;
    },
  );
  const regex = new RegExp(`^${source}$`, 's');
  return (name) => regex.test(name) && (part.startsWith('.') || !name.startsWith('.'));
}
