/**
 * Paths with escapes, as `ls` shows them on a terminal: the only way to type bytes that are no
 * text.
 */
import { UsageError } from '../../errors.ts';
import { diskFolder, isOnDisk } from '../../tree/local/disk-path.ts';
import { isRootPath } from '../../bytes/paths.ts';
import { utf8Text } from '../terminal/terminal.ts';
import { pathFromTop, pathMissing, type PathOrigin } from './vault-paths.ts';

/** Help of `--escaped`. */
export const ESCAPED_HELP =
  'PATHs are written as ls shows odd ones: \\377, \\n, \\\\ for a backslash';

/** The example in the help. */
export const ESCAPED_EXAMPLE = "ecsync cat --escaped 'caf\\351.txt'.";

const ESCAPE = /\\([nrt\\]|[0-3][0-7]{2})?/g;
const SHORT: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

/**
 * The bytes of a typed path.
 *
 * @param isEscaped - with `--escaped`: inverse of `shown`
 * @throws {UsageError} `path-escape-invalid` — an unknown character after a backslash
 */
export function typedBytes(typed: string, isEscaped = false): Buffer {
  if (!isEscaped) return Buffer.from(typed);
  const text = Buffer.from(typed).toString('latin1');
  const plain = text.replace(ESCAPE, (_found, escape: string | undefined) => {
    if (escape === undefined) throw invalid(typed);
    return SHORT[escape] ?? String.fromCharCode(Number.parseInt(escape, 8));
  });
  return Buffer.from(plain, 'latin1');
}

/**
 * Converts escaped paths of a push into paths relative to the source, by the rule of `pathFromTop`.
 * No pattern is expanded and no link followed, since these are paths as they were printed.
 *
 * @param onGone - as in `resolvePaths`
 * @returns empty if everything is selected
 * @throws {UsageError} `path-escape-invalid`, `path-outside`, `path-missing`
 */
export function resolveEscaped(
  paths: readonly string[],
  origin: PathOrigin & { readonly source: string },
  onGone?: (typed: string) => void,
): readonly (string | Uint8Array)[] {
  const resolved = paths.map((typed) => {
    const inside = pathFromTop(typedBytes(typed, true), origin);
    if (!isOnDisk(diskFolder(origin.source), inside)) {
      if (onGone === undefined) throw pathMissing(typed);
      onGone(typed);
    }
    return inside;
  });
  if (resolved.some(isRootPath)) return [];
  return resolved.map((inside) => utf8Text(inside) ?? inside);
}

function invalid(typed: string): UsageError {
  return new UsageError(
    'path-escape-invalid',
    `${typed}: a backslash with nothing known behind it`,
    {
      hint: 'With --escaped, write \\n, \\r, \\t, \\\\ for a backslash, or three octal digits: \\377.',
    },
  );
}
