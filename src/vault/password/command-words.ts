/** Splits a command line into words as a POSIX shell would. */
import { UsageError } from '../../errors.ts';
import { isWindows } from '../../platform.ts';

const TOKEN = /\s+|'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])|([^\s'"\\]+)/y;
const WINDOWS_TOKEN = /\s+|'([^']*)'|"([^"]*)"|(?!)()|([^\s'"]+)/y;

/**
 * Splits a command line into words as a POSIX shell would: blanks separate, single quotes keep
 * everything, double quotes keep all but `\"`, `\\`, `` \` `` and `\$`, a backslash elsewhere keeps
 * the next character. On Windows, where it separates folders, a backslash is a character like any
 * other. Nothing is expanded and no shell runs.
 *
 * @param where - what the text was given as, for messages (`--extpass`)
 * @throws {UsageError} `command-invalid` — a quote without its end, or no word at all; the text is
 *   not repeated, it may hold a secret
 */
export function splitCommandWords(
  text: string,
  where: string,
  backslashEscapes = !isWindows,
): readonly [string, ...string[]] {
  const words: string[] = [];
  const token = new RegExp(backslashEscapes ? TOKEN : WINDOWS_TOKEN);
  let word: string | undefined;
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (match === null) {
      throw new UsageError('command-invalid', `${where}: a quote or a backslash has no end`, {
        hint: 'Close the quote.',
      });
    }
    const [whole, single, double, escaped, bare] = match;
    if (/^\s/.test(whole)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    const kept = backslashEscapes
      ? double?.replace(/\\(["\\`$])/g, '$1').replace(/\\\n/g, '')
      : double;
    word = (word ?? '') + (single ?? kept ?? escaped ?? bare ?? '');
  }
  if (word !== undefined) words.push(word);
  const [program, ...rest] = words;
  if (program === undefined || program === '') {
    throw new UsageError('command-invalid', `${where}: no command is named`, {
      hint: 'Name a program that prints the password.',
    });
  }
  return [program, ...rest];
}
