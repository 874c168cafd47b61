/** The manual page, made of the command tree. */
import { allCommands, type ShownCommand, type ShownOption } from './command-tree.ts';

/** Text for roff: backslashes, dashes, and what would begin a request. */
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
    '.SH NAME',
    `ecsync \\- ${roff(tree.description.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    '.B ecsync',
    '.I command',
    '.RI [ options ]',
    '.SH COMMANDS',
    ...commands.flatMap(commandLines),
    '.SH EXIT STATUS',
    ...exitCodes.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, roff(meaning)]),
    '',
  ].join('\n');
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
