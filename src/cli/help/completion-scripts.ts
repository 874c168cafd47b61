/** Completion scripts for shells, generated from the command tree. */
import { allCommands, type ShownCommand } from './command-tree.ts';

/** The supported shells. */
export const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const;
export type Shell = (typeof SHELLS)[number];

/** The completion script of a shell for `ecsync`. */
export function completionScript(shell: Shell, tree: ShownCommand): string {
  switch (shell) {
    case 'bash':
      return bash(tree);
    case 'zsh':
      // zsh loads bash's completion functions, and reports if it cannot.
      return `#compdef ecsync\nautoload -U +X bashcompinit && bashcompinit\n${bash(tree)}`;
    case 'fish':
      return fish(tree);
    case 'powershell':
      return powershell(tree);
  }
}

function wordsAfter(command: ShownCommand): readonly string[] {
  const names = command.commands.map(({ name }) => name);
  return [...names, ...command.choices, ...command.options.flatMap((option) => option.names)];
}

/** Options with a value, by whether it may be the name of a remote. */
function valueOptions(tree: ShownCommand, namesRemote: boolean): string {
  const names = allCommands(tree).flatMap(({ options }) =>
    options
      .filter((option) => option.takesValue && option.namesRemote === namesRemote)
      .flatMap((option) => option.names),
  );
  return [...new Set(names)].join('|');
}

/** Options with these known values. */
function choiceOptions(
  tree: ShownCommand,
): readonly { readonly names: readonly string[]; readonly choices: readonly string[] }[] {
  const found = new Map<string, Set<string>>();
  for (const { names, choices } of allCommands(tree).flatMap(({ options }) => options)) {
    if (choices.length === 0) continue;
    const key = names.join('|');
    found.set(key, new Set([...(found.get(key) ?? []), ...choices]));
  }
  return [...found].map(([key, choices]) => ({ names: key.split('|'), choices: [...choices] }));
}

function remoteCommands(tree: ShownCommand): readonly ShownCommand[] {
  return allCommands(tree).filter(({ namesRemote }) => namesRemote);
}

/**
 * Names may contain blanks, so each offered line is one word. `mapfile` is not used, since neither
 * zsh nor the bash of macOS has it.
 */
function bash(tree: ShownCommand): string {
  const cases = allCommands(tree).map(
    (command) => `    '${command.path}') words='${wordsAfter(command).join(' ')}' ;;`,
  );
  return `_ecsync_remotes() {
  local name rest
  ecsync remote list 2>/dev/null | while read -r name rest; do printf '%s\\n' "$name"; done
}
_ecsync_offer() {
  local line
  while IFS= read -r line; do COMPREPLY+=("$line"); done
}
_ecsync() {
  COMPREPLY=()
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
${allCommands(tree)
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      '${path.includes(' ') ? path : ` ${path}`}') path='${path}' ;;`)
  .join('\n')}
    esac
  done
  case $previous in
${choiceOptions(tree)
  .map(
    ({ names, choices }) =>
      `    ${names.join('|')}) _ecsync_offer < <(compgen -W '${choices.join(' ')}' -- "$current"); return ;;`,
  )
  .join('\n')}
    ${valueOptions(tree, true)}) _ecsync_offer < <(compgen -W "$(_ecsync_remotes)" -- "$current"; compgen -f -- "$current"); return ;;
    ${valueOptions(tree, false)}) _ecsync_offer < <(compgen -f -- "$current"); return ;;
  esac
  case $path in
${cases.join('\n')}
  esac
  case $path in
    ${remoteCommands(tree)
      .map(({ path }) => `'${path}'`)
      .join('|')}) words="$words $(_ecsync_remotes)" ;;
  esac
  _ecsync_offer < <(compgen -W "$words" -- "$current")
  if [ \${#COMPREPLY[@]} -eq 0 ]; then _ecsync_offer < <(compgen -f -- "$current"); fi
}
complete -o filenames -F _ecsync ecsync
`;
}

function quoted(text: string): string {
  return `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
}

/** A command for fish that prints the names of the remotes. */
const FISH_REMOTES = '(ecsync remote list 2>/dev/null | string split -f1 \\t)';

function fish(tree: ShownCommand): string {
  const lines = allCommands(tree).flatMap((command) => {
    const words = command.path.split(' ').filter((word) => word !== '');
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const names = command.commands.map(({ name }) => name).join(' ');
    const none = names === '' ? '' : `not __fish_seen_subcommand_from ${names}`;
    const here = [seen, none].filter((part) => part !== '').join('; and ');
    const when = here === '' ? '' : ` -n ${quoted(here)}`;
    return [
      ...command.commands.map(
        ({ name, summary }) => `complete -c ecsync${when} -a ${name} -d ${quoted(summary)}`,
      ),
      ...(command.choices.length > 0 && seen !== ''
        ? [`complete -c ecsync -f -n ${quoted(seen)} -a ${quoted(command.choices.join(' '))}`]
        : []),
      ...(command.namesRemote && seen !== ''
        ? [`complete -c ecsync -n ${quoted(seen)} -a ${quoted(FISH_REMOTES)} -d remote`]
        : []),
      ...command.options.map(({ names: own, description, takesValue, choices, namesRemote }) => {
        const flags = own.map((one) =>
          one.startsWith('--') ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`,
        );
        const value = takesValue ? ' -r' : '';
        const words = choices.length > 0 ? choices.join(' ') : namesRemote ? FISH_REMOTES : '';
        const list = words === '' ? '' : ` -a ${quoted(words)}`;
        const on = seen === '' ? '' : ` -n ${quoted(seen)}`;
        return `complete -c ecsync${on} ${flags.join(' ')}${value}${list} -d ${quoted(description)}`;
      }),
    ];
  });
  return `${lines.join('\n')}\n`;
}

function powershell(tree: ShownCommand): string {
  const text = (value: string): string => `'${value.replace(/'/g, "''")}'`;
  const remote = remoteCommands(tree).map(({ path }) => text(path));
  const rows = allCommands(tree).map(
    (command) => `    ${text(command.path)} = @(${wordsAfter(command).map(text).join(', ')})`,
  );
  const values = choiceOptions(tree).flatMap(({ names, choices }) =>
    names.map((name) => `    ${text(name)} = @(${choices.map(text).join(', ')})`),
  );
  return `Register-ArgumentCompleter -Native -CommandName ecsync -ScriptBlock {
  param($word, $ast, $position)
  $known = @{
${rows.join('\n')}
  }
  $values = @{
${values.join('\n')}
  }
  $path = ''
  foreach ($element in $ast.CommandElements | Select-Object -Skip 1) {
    $next = ("$path " + $element.ToString()).Trim()
    if ($known.ContainsKey($next) -and $element.Extent.EndOffset -lt $position) { $path = $next }
  }
  $last = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position })[-1]
  $words = @($known[$path])
  if ($values.ContainsKey("$last")) { $words = @($values["$last"]) }
  if (@(${remote.join(', ')}) -contains $path) {
    $words += @(ecsync remote list 2>$null | ForEach-Object { ($_ -split "\`t")[0] })
  }
  $words | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}
