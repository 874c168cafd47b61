/** The manual page, generated from the command tree. */
import { EXAMPLES, environmentLines, FILES, type ManualItem } from './manual-text.ts';
import { allCommands, type ShownCommand, type ShownOption } from './command-tree.ts';

/** Escapes text for roff: backslashes, dashes, and leading request characters. */
function roff(text: string): string {
  return text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}

/**
 * `ecsync(1)`
 *
 * @param exitCodes - each with its meaning
 */
export function manualPage(
  tree: ShownCommand,
  version: string,
  exitCodes: readonly (readonly [number, string])[],
): string {
  const commands = allCommands(tree).filter(
    ({ commands: below, path }) => path !== '' && below.length === 0,
  );
  return [
    `.TH ECSYNC 1 "" "ecsync ${roff(version)}" "User Commands"`,
    // Disables hyphenation, so that names of options and variables are not broken.
    '.nh',
    '.ad l',
    '.SH NAME',
    `ecsync \\- ${roff(tree.description.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    '.B ecsync',
    '.I command',
    '.RI [ options ]',
    '.SH COMMANDS',
    ...commands.flatMap(commandLines),
    '.SH EXIT STATUS',
    ...exitCodes.flatMap(([code, meaning]) => described([String(code), meaning])),
    '.SH ENVIRONMENT',
    ...environmentLines().flatMap(described),
    '.SH FILES',
    ...FILES.flatMap(described),
    '.SH EXAMPLES',
    ...EXAMPLES.flatMap(described),
    '.SH SEE ALSO',
    roff('gocryptfs(1), rsync(1), ssh_config(5)'),
    '',
  ].join('\n');
}

function described([name, text]: ManualItem): readonly string[] {
  return ['.TP', `.B ${roff(name)}`, roff(text)];
}

function commandLines({ path, description, usage, options }: ShownCommand): readonly string[] {
  return [
    `.SS "ecsync ${roff(path)} ${roff(usage)}"`,
    roff(description),
    ...options.flatMap(optionLines),
  ];
}

function optionLines({ flags, description, choices }: ShownOption): readonly string[] {
  const list = choices.length > 0 ? ` (${choices.join(', ')})` : '';
  return ['.TP', `.B ${roff(flags)}`, roff(description + list)];
}
