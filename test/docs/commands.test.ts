// Goal: no document names a command or an option of ecsync that does not exist. Commander itself parses them.
import { describe, expect, it } from 'vitest';
import { complaintAbout, knownOptions } from './support/command-line.ts';
import { codeIn, DOCUMENTS, fencesOf, proseOf } from './support/documents.ts';
import { commandsIn, ecsyncWords } from './support/shell-words.ts';

/** Fences that hold no commands. */
const OTHER_LANGUAGES: ReadonlySet<string> = new Set(['toml', 'js', 'ts', 'ini', 'json']);

/** Options that documents name and that other programs have. */
const OF_OTHER_PROGRAMS: readonly string[] = [
  // rsync
  ...[
    '--server',
    '--sender',
    '--daemon',
    '--link-dest',
    '--copy-dest',
    '--compare-dest',
    '--inplace',
  ],
  ...['--temp-dir', '--fsync', '--sparse', '--mkpath', '--ignore-existing', '--existing', '--info'],
  ...['--only-write-batch', '--modify-window', '-S', '-I', '-a', '-aS'],
  // rrsync
  ...['-wo', '-no-del', '-no-overwrite', '-munge'],
  // gocryptfs
  ...['-fsck', '-reverse', '-init', '-passwd', '-info', '-longnames', '-masterkey'],
  // Node, the campaign
  ...['--jitless', '--part', '--seed', '--point'],
  // what a flag is taken back with
  '--no-',
];

/** The labels in its derivations begin with the program's name, too. */
const NAMES_NO_COMMANDS = 'FORMAT.md';

const known = new Set([...knownOptions(), ...OF_OTHER_PROGRAMS]);

describe.each(DOCUMENTS)('%s', (document) => {
  it('shows commands that the command line understands', () => {
    const complaints = fencesOf(document)
      .filter(({ language }) => !OTHER_LANGUAGES.has(language))
      .flatMap(({ line, text }) =>
        commandsIn(text).flatMap((command) => {
          const words = ecsyncWords(command);
          const complaint = words && complaintAbout(words, { isNamed: false });
          return complaint === undefined ? [] : [`${document}:${line}: ${complaint}`];
        }),
      );
    expect(complaints).toEqual([]);
  });

  it('names commands and options that exist', () => {
    const complaints = codeIn(proseOf(document)).flatMap(({ line, code }) => {
      const [command = []] = commandsIn(code);
      const isCommand = command[0] === 'ecsync' && document !== NAMES_NO_COMMANDS;
      const words = isCommand ? command.slice(1) : undefined;
      const complaint = words && complaintAbout(words, { isNamed: true });
      const [, option] = /^(--?[a-zA-Z][\w-]*)/.exec(code) ?? [];
      const unknown = option === undefined || known.has(option) ? undefined : `unknown: ${option}`;
      return [complaint, unknown].flatMap((one) =>
        one === undefined ? [] : [`${document}:${line}: ${one}`],
      );
    });
    expect(complaints).toEqual([]);
  });
});
