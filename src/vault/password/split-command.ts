/** Splits a command line into words as a POSIX shell would. */
import { UsageError } from '../../errors.ts';
import { isWindows } from '../../platform.ts';

const TOKEN = /\s+|'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])|([^\s'"\\]+)/y;
const WINDOWS_TOKEN = /\s+|'([^']*)'|"([^"]*)"|(?!)()|([^\s'"]+)/y;

/**
 * Splits a command line into words as a POSIX shell does. Blanks separate words; single quotes
 * preserve everything, double quotes everything but `\"`, `\\`, `` \` `` and `\$`; a backslash
 * elsewhere preserves the next character. On Windows a backslash is an ordinary character, since it
 * separates folders. Nothing is expanded, and no shell runs.
 *
 * @param where - where the text was given, for messages (`--extpass`)
 * @throws {UsageError} `command-invalid` — an unclosed quote, or no words; the message does not
 *   contain the text, which may hold a secret
 */
export function splitCommand(
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
      throw new UsageError(
        'command-invalid',
        `${where}: a quote is not closed, or a backslash is at the end`,
        {
          hint: 'Close the quote.',
        },
      );
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
