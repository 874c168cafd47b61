/** Reads and checks the push options of a scheduled job. */
import path from 'node:path';
import { Command, CommanderError } from 'commander';
import { UsageError } from '../../errors.ts';
import { definePush } from '../push/push.ts';
import type { PushOptions } from '../settings/push-options.ts';
import type { RunCommand } from '../frame/selected.ts';
import type { VaultConfig } from '../../vault/config/config.ts';
import { noRemote } from '../../vault/config/config-edit.ts';

/** The command line of `schedule install` or `run`. */
export interface ScheduleRequest<Options> {
  readonly options: Options;
  /** Names of remotes, then options of push. */
  readonly words: readonly string[];
}

/** A push as the command line of a schedule describes it. */
export interface ParsedPush {
  readonly options: PushOptions;
  readonly run: RunCommand;
}

/** Options that an unattended push cannot use, or that the schedule itself decides. */
const REFUSED: Readonly<Record<string, string>> = {
  dryRun: '--dry-run changes nothing',
  masterkey: 'nobody is there to give a master key',
  C: 'the schedule knows its vault',
  vaultDir: 'the schedule knows its vault',
  acceptNewHostKey: 'a host key is looked at once, by a person: push by hand first',
};

/**
 * Splits the arguments. Remotes come first, and the first argument with a dash begins the options
 * of push.
 */
export function splitScheduleArguments(words: readonly string[]): {
  readonly remotes: readonly string[];
  readonly pushArguments: readonly string[];
} {
  const at = words.findIndex((word) => word.startsWith('-'));
  if (at === -1) return { remotes: words, pushArguments: [] };
  return { remotes: words.slice(0, at), pushArguments: words.slice(at) };
}

/**
 * @throws {UsageError} `no-remote`, `conflicting-options`
 */
export function assertRemotes(
  config: VaultConfig,
  { remotes, isAll }: { readonly remotes: readonly string[]; readonly isAll: boolean },
): void {
  if (isAll && remotes.length > 0) {
    throw new UsageError('conflicting-options', '--all and names of remotes exclude each other', {
      hint: 'Give one of them.',
    });
  }
  if (config.remotes.length === 0) {
    throw new UsageError('no-remote', 'this vault has no remote yet', {
      hint: 'Add one: ecsync remote add NAME user@host:path',
    });
  }
  for (const name of remotes) {
    if (!config.remotes.some((remote) => remote.name === name)) {
      throw noRemote(name, config.remotes);
    }
  }
}

/**
 * Parses the options of a scheduled push.
 *
 * @throws {UsageError} `schedule-push-words`, and what the options themselves throw
 */
export function parsePush(remote: string, pushArguments: readonly string[]): ParsedPush {
  const program = new Command('ecsync')
    .exitOverride()
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined })
    .helpCommand(false);
  const found: { push?: ParsedPush } = {};
  definePush(program, (_name, options, run) => {
    found.push = { options: options as PushOptions, run };
  });
  try {
    program.parse(['push', remote, ...pushArguments], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw argumentsError(error.message.split('\n')[0]?.replace(/^error: /, '') ?? '');
  }
  const paths = program.commands[0]?.args.slice(1) ?? [];
  if (paths.length > 0) throw argumentsError(`'${paths[0] ?? ''}' is no option of push`);
  if (found.push === undefined) throw argumentsError('only options of push can follow --');
  return found.push;
}

/**
 * Refuses options that cannot work unattended, or in another working folder.
 *
 * @throws {UsageError} `schedule-push-words`
 */
export function assertSchedulable(push: ParsedPush, pushArguments: readonly string[]): void {
  const options: Readonly<Record<string, unknown>> = { ...push.options };
  for (const [name, why] of Object.entries(REFUSED)) {
    if (options[name] !== undefined) throw argumentsError(why);
  }
  if (pushArguments.includes('--')) throw argumentsError('only options of push can follow --');
  for (const name of ['passfile', 'passwordFile', 'excludeFrom', 'logFile']) {
    const file = options[name];
    if (typeof file === 'string' && !path.isAbsolute(file)) {
      throw argumentsError(`${file} is a relative path, and a schedule runs elsewhere`);
    }
  }
}

function argumentsError(message: string): UsageError {
  return new UsageError('schedule-push-words', message, {
    hint: 'After -- come options of push, with absolute paths: ecsync schedule install --every 1h -- --delete --max-delete 100',
  });
}
