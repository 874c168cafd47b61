/** Quotes the words of remote command lines and splits local ones into words. */
import { UsageError } from '../errors.ts';

/**
 * Characters that reach the remote program unchanged without a backslash. All other ASCII
 * characters get one. Letters and digits must not: fish reads `\n` as a newline.
 */
const BARE = /^[A-Za-z0-9_./:=,@%+-]$/;

/** rrsync splits at Python's white space, which includes characters beyond ASCII. */
const FOREIGN_SPACE = /^[\s\u0080-\u00a0]$/u;

const LINE_BREAK_OR_NUL = /[\r\n\0]/;
const SURROGATE = /\p{Surrogate}/u;

/**
 * Quotes one word so that it arrives verbatim through a Bourne-like shell and through rrsync, which
 * splits at unescaped white space, removes backslashes and does not understand quotes. A leading
 * `~/` is left for the remote shell to expand to the home folder; any other tilde is literal.
 *
 * An empty word becomes `''`, which only a shell understands: rrsync has no form for it.
 *
 * @throws {UsageError} `word-invalid` — a line break, a NUL or a lone surrogate
 * @see rsync options.c safe_arg (3.5.0) and rrsync (3.5.0) for the two readers
 */
export function quoteWord(word: string): string {
  assertOneLine(word);
  if (word === '') return "''";
  const tilde = word.startsWith('~/') ? '~/' : '';
  let quoted = tilde;
  for (const char of word.slice(tilde.length)) {
    const code = char.codePointAt(0) ?? 0;
    // zsh expands a leading = to the path of a command.
    const bare = code < 0x80 ? BARE.test(char) && !(quoted === '' && char === '=') : false;
    quoted += bare || (code >= 0x80 && !FOREIGN_SPACE.test(char)) ? char : `\\${char}`;
  }
  return quoted;
}

/**
 * The command line as one string, which an ssh server passes to the account's shell.
 *
 * @param program - command as the user configured it, not quoted: `rsync`, `sudo rsync`
 * @param words - its arguments, each quoted by {@link quoteWord}
 * @throws {UsageError} `word-invalid`
 */
export function remoteCommandLine(program: string, words: readonly string[]): string {
  assertOneLine(program);
  return [program, ...words.map(quoteWord)].join(' ');
}

/**
 * Splits a local command line into words as a shell would: with single and double quotes and
 * backslashes, but without variables, globs or operators. No shell is run.
 *
 * @param text - e.g. `ssh -i "my key" -o BatchMode=yes`
 * @param backslashEscapes - false on Windows, where a backslash separates folders
 * @throws {UsageError} `command-invalid` — empty, or with an unclosed quote
 */
export function splitWords(text: string, backslashEscapes: boolean): [string, ...string[]] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    const next = text.charAt(i + 1);
    if (char === '\\' && backslashEscapes && quote !== "'" && next !== '') {
      const kept = quote === '"' && !['"', '\\', '$', '`'].includes(next) ? char : '';
      word = (word ?? '') + kept + next;
      i++;
    } else if (quote !== '' ? char === quote : char === '"' || char === "'") {
      quote = quote === '' ? char : '';
      word ??= '';
    } else if (quote === '' && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== '') {
    throw new UsageError('command-invalid', `a quote is not closed in the command: ${text}`);
  }
  if (word !== undefined) words.push(word);
  const [program, ...rest] = words;
  if (program === undefined || program === '') {
    throw new UsageError('command-invalid', 'the command is empty');
  }
  return [program, ...rest];
}

function assertOneLine(word: string): void {
  if (LINE_BREAK_OR_NUL.test(word) || SURROGATE.test(word)) {
    throw new UsageError(
      'word-invalid',
      `this cannot be sent to the server as one word: ${JSON.stringify(word)}`,
      { hint: 'Use a path without line breaks and control characters.' },
    );
  }
}
