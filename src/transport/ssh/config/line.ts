/** Parses one line of an ssh_config file. */

/** A line with a keyword. */
export interface ConfigLine {
  /** The keyword in lower case. */
  readonly keyword: string;
  /** The arguments without quotes and escapes; a comment ends them. */
  readonly words: readonly string[];
  /** Everything after the keyword unchanged, for options that are commands. */
  readonly rest: string;
}

/**
 * Splits a line as ssh does: `keyword words…`, with an optional `=` between the keyword and the
 * first word. Words may be in single or double quotes. A backslash escapes a quote, a backslash or,
 * outside quotes, a space; otherwise it is literal.
 *
 * @returns undefined for a comment or an empty line; an error message for an invalid line
 * @see ssh_config(5); OpenSSH readconf.c process_config_line_depth(), misc.c argv_split() (9.2)
 */
export function parseConfigLine(text: string): ConfigLine | string | undefined {
  const line = text.replace(/[ \t\r\n\f]+$/, '').replace(/^[ \t\r\n]+/, '');
  if (line === '' || line.startsWith('#')) return undefined;
  const match = /^(?:"([^"]*)"|([^ \t\r\n"=]+))[ \t\r\n]*(?:=[ \t\r\n]*)?(.*)$/s.exec(line);
  if (match === null || match[1] === '') return 'a line does not begin with a keyword';
  const [, quoted, bare = quoted ?? '', rest = ''] = match;
  const keyword = bare.toLowerCase();
  if (rest === '') return `${bare} has no value`;
  const words = splitArguments(rest);
  return words === undefined ? 'a quote is not closed' : { keyword, words, rest };
}

/** @returns undefined if a quote is not closed */
function splitArguments(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    const next = text.charAt(i + 1);
    const isBlank = char === ' ' || char === '\t';
    if (word === undefined && char === '#') break;
    if (word === undefined && isBlank) continue;
    word ??= '';
    if (char === '\\' && (isQuotable(next) || (quote === '' && next === ' '))) {
      word += next;
      i++;
    } else if (quote === '' && isBlank) {
      words.push(word);
      word = undefined;
    } else if (quote === '' && (char === '"' || char === "'")) {
      quote = char;
    } else if (char === quote) {
      quote = '';
    } else {
      word += char;
    }
  }
  if (quote !== '') return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

function isQuotable(char: string): boolean {
  return char === '"' || char === "'" || char === '\\';
}
