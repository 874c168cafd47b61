/** The command line as data, for completions and the manual. */
import type { Command, Option } from 'commander';

/** One option that help shows. */
export interface ShownOption {
  /** `-n`, `--dry-run` */
  readonly names: readonly string[];
  /** `-n, --dry-run`, `--max-delete <n>` */
  readonly flags: string;
  readonly description: string;
  readonly takesValue: boolean;
  /** Its value may be the name of a remote. */
  readonly namesRemote: boolean;
  readonly choices: readonly string[];
}

/** One command with its subcommands. */
export interface ShownCommand {
  /** `remote add`; empty for the program. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  /** `[options] <name> <url>` */
  readonly usage: string;
  readonly options: readonly ShownOption[];
  /** Possible values of its arguments. */
  readonly choices: readonly string[];
  /** One of its arguments may be the name of a remote. */
  readonly namesRemote: boolean;
  readonly commands: readonly ShownCommand[];
}

/** Topics of `help` beside commands. */
export const HELP_TOPICS = ['exit-codes', 'man'] as const;

/** Argument and value names in help that mean a remote. */
const REMOTE_WORDS: ReadonlySet<string> = new Set(['remote', 'copy']);

export function commandTree(command: Command, above = ''): ShownCommand {
  const isProgram = command.parent === null;
  const path = isProgram ? '' : `${above} ${command.name()}`.trim();
  const help = command.createHelp();
  return {
    path,
    name: command.name(),
    summary: command.summary() || command.description(),
    description: command.description(),
    usage: command.usage(),
    choices: [
      ...command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
      ...topicsOf(command),
    ],
    namesRemote: command.registeredArguments.some((argument) => REMOTE_WORDS.has(argument.name())),
    options: help.visibleOptions(command).map(optionOf),
    commands: help.visibleCommands(command).map((one) => commandTree(one, path)),
  };
}

/** The topics of `help`, if this is the command `help`. */
function topicsOf(command: Command): readonly string[] {
  const { parent } = command;
  const isHelp = command.registeredArguments.some((argument) => argument.name() === 'topic');
  if (!isHelp || parent === null) return [];
  const commands = parent.createHelp().visibleCommands(parent);
  return [...commands.map((one) => one.name()), ...HELP_TOPICS];
}

function optionOf(option: Option): ShownOption {
  const { short, long, flags, description, required, optional, argChoices } = option;
  return {
    names: [short, long].filter((name) => name != null),
    flags,
    description,
    takesValue: required || optional,
    namesRemote: REMOTE_WORDS.has(/<([^>]*)>$/.exec(flags)?.[1] ?? ''),
    choices: argChoices ?? [],
  };
}

/** All commands, each before its subcommands. */
export function allCommands(tree: ShownCommand): readonly ShownCommand[] {
  return [tree, ...tree.commands.flatMap(allCommands)];
}
