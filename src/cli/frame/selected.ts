/** How the one command that a command line names is selected and run. */
import type { Host } from './host.ts';
import type { CommonOptions } from './options.ts';
import type { CommandResult, Warnings } from './report.ts';

/** What a command does once the whole command line was understood. */
export type RunCommand = (host: Host, warnings: Warnings) => Promise<CommandResult> | CommandResult;

/** Called by the one command that the words of the command line name. */
export type Selected = (name: string, options: CommonOptions, run: RunCommand) => void;
