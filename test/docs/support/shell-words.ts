/** Splits lines of a shell into commands and words, as far as the examples of the documents need it. */

/** Words of one simple command, without quotes and redirections. */
type Words = readonly string[];

/** Blanks, comments, lines that go on, and redirections to or from a file. */
const NOTHING = /^(?:[ \t]|#[^\n]*|\\\n|(?:\d?>>?|<)[ \t]*[^\s(<>&;|]+|\d>&\d)+/;
const WORD = /^(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\|;&<>()])+/;
/** What ends a command. */
const END = /^(?:\n|&&|\|\||\d?[|;&<>()])/;

/**
 * @param text - lines of a shell, with comments
 * @returns the words of each simple command
 */
export function commandsIn(text: string): readonly Words[] {
  const commands: string[][] = [[]];
  let rest = text;
  while (rest !== '') {
    const end = END.exec(rest)?.[0];
    const nothing = NOTHING.exec(rest)?.[0];
    const word = WORD.exec(rest)?.[0] ?? rest.slice(0, 1);
    if (nothing === undefined && end !== undefined) commands.push([]);
    if (nothing === undefined && end === undefined) commands.at(-1)?.push(unquoted(word));
    rest = rest.slice((nothing ?? end ?? word).length);
  }
  return commands.filter((words) => words.length > 0);
}

function unquoted(word: string): string {
  return word.replace(/'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/g, (_, single, double, escaped) =>
    String(single ?? double ?? escaped),
  );
}

/** @returns what follows `ecsync` in a command that runs it, also by way of another program; else undefined */
export function ecsyncWords(command: Words): Words | undefined {
  const at = command.findLastIndex((word) => word === 'ecsync' || word.endsWith('/ecsync'));
  const isRun = at === 0 || (at !== -1 && at + 1 < command.length);
  return isRun ? command.slice(at + 1) : undefined;
}
