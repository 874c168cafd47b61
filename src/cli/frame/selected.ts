/** Selects and runs the command that a command line names. */
import type { Host } from './host.ts';
import type { CommonOptions } from './options.ts';
import type { CommandResult, Warnings } from './report.ts';

/** Runs a command after the whole command line was parsed. */
export type RunCommand = (host: Host, warnings: Warnings) => Promise<CommandResult> | CommandResult;

/** Called by the one command that the command line names. */
export type Selected = (name: string, options: CommonOptions, run: RunCommand) => void;
