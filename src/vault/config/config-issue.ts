/** Error messages for mistakes in configuration files. */
import { parse as parseToml, TomlError } from 'smol-toml';
import type * as v from 'valibot';
import { UsageError } from '../../errors.ts';
import { nearestWord } from '../../options/nearest.ts';

/**
 * Parses TOML.
 *
 * @param shownFile - path of the file, for messages
 * @throws {UsageError} `config-invalid`
 */
export function parseTomlText(tomlText: string, shownFile: string): unknown {
  try {
    return parseToml(tomlText);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split('\n')[0]?.replace('Invalid TOML document: ', '') ?? '';
    throw new UsageError('config-invalid', `${shownFile}, line ${error.line}: ${reason}`, {
      hint: 'Correct this line; strings need quotes.',
    });
  }
}

/**
 * The error for the first issue that a schema found: `config-unknown-key` with the nearest known
 * key, or `config-invalid`.
 *
 * @param knownKeys - keys of each table by its path without numbers; the empty path is the top
 *   level
 */
export function describeIssue(
  issue: v.BaseIssue<unknown>,
  shownFile: string,
  knownKeys: Readonly<Record<string, readonly string[]>>,
): UsageError {
  const keys = (issue.path ?? []).map((item) => String(item.key));
  const shownKey = keys.join('.');
  const isStrict = issue.type === 'strict_object' && issue.expected === 'never';
  if (isStrict) {
    const table = keys
      .slice(0, -1)
      .filter((key) => !/^[0-9]+$/.test(key))
      .join('.');
    const known = knownKeys[table] ?? [];
    const nearest = nearestWord(keys.at(-1) ?? '', known);
    return new UsageError('config-unknown-key', `${shownFile}: unknown key '${shownKey}'`, {
      hint: nearest === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean ${nearest}?`,
    });
  }
  const isMissing = issue.received === 'undefined';
  const reason = isMissing ? 'is missing' : issue.message;
  return new UsageError('config-invalid', `${shownFile}: '${shownKey}' ${reason}`, {
    hint: 'Correct the file, or compare it with one that `ecsync init` makes.',
  });
}
