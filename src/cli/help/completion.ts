/** The command `completion`: prints a completion script for a shell. */
import { Argument, type Command } from 'commander';
import { commandTree } from './command-tree.ts';
import { completionScript, SHELLS, type Shell } from './completion-scripts.ts';
import type { CommonOptions } from '../frame/options.ts';
import { DONE } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';

const AFTER_HELP = `
  bash        ecsync completion bash > ~/.local/share/bash-completion/completions/ecsync
  zsh         ecsync completion zsh > "\${fpath[1]}/_ecsync"
  fish        ecsync completion fish > ~/.config/fish/completions/ecsync.fish
  powershell  ecsync completion powershell | Out-String | Invoke-Expression   (in $PROFILE)`;

/** Defines `completion SHELL`. */
export function defineCompletion(program: Command, select: Selected): void {
  const command = program
    .command('completion')
    .summary('complete commands and options in a shell')
    .description('Print the script with which a shell completes commands and options.')
    .addArgument(new Argument('<shell>').choices([...SHELLS]))
    .addHelpText('after', AFTER_HELP);
  command.option('--json', 'one JSON object a line, the last one a summary');
  command.action((shell: Shell) => {
    const options: CommonOptions = command.opts();
    select('completion', options, ({ out }) => {
      const text = completionScript(shell, commandTree(program)).trimEnd();
      if (out.mode.json) out.event({ type: 'completion', shell, text });
      else out.data(text);
      return DONE;
    });
  });
}
