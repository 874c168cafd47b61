import { Command } from 'commander';
import { defineAdopt } from './commands/adopt.ts';
import { defineCat } from './commands/cat.ts';
import { defineClone } from './commands/clone.ts';
import { defineCompletion } from './commands/completion.ts';
import { defineConfig } from './commands/config.ts';
import { defineDoctor } from './commands/doctor.ts';
import { defineFind } from './commands/find.ts';
import { defineFsck } from './commands/fsck.ts';
import { defineHelp } from './commands/help.ts';
import { defineInit } from './commands/init.ts';
import { defineKey } from './commands/key.ts';
import { defineLog } from './commands/log.ts';
import { defineLs } from './commands/ls.ts';
import { defineName } from './commands/name.ts';
import { definePlan } from './commands/plan.ts';
import { definePush } from './commands/push.ts';
import { defineRemote } from './commands/remote.ts';
import { defineRestore } from './commands/restore.ts';
import { defineSchedule } from './commands/schedule.ts';
import { defineStatus } from './commands/status.ts';
import { defineUnlock } from './commands/unlock.ts';
import { defineVerify } from './commands/verify.ts';
import { addCommonOptions } from './options.ts';
import type { Selected } from './selected.ts';

/** Where commander's own texts go. */
export interface ProgramTexts {
  readonly version: string;
  out(text: string): void;
  err(text: string): void;
}

/** The whole command line; `select` learns which command it names. Commander never exits by itself. */
export function buildProgram(texts: ProgramTexts, select: Selected): Command {
  const program = new Command('ecsync')
    .description('Keeps an encrypted, gocryptfs-compatible copy of a folder on another machine.')
    .version(texts.version, '-V, --version', 'show the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => texts.out(text),
      writeErr: (text) => texts.err(text),
      outputError: () => undefined, // shown by the one place that shows errors
    })
    .configureHelp({ showGlobalOptions: false })
    .enablePositionalOptions()
    .helpCommand(false);
  addCommonOptions(program);
  defineInit(program, select);
  defineAdopt(program, select);
  defineRemote(program, select);
  definePush(program, select);
  definePlan(program, select);
  defineVerify(program, select);
  defineRestore(program, select);
  defineClone(program, select);
  defineLs(program, select);
  defineCat(program, select);
  defineFind(program, select);
  defineFsck(program, select);
  defineName(program, select);
  defineKey(program, select);
  defineSchedule(program, select);
  defineStatus(program, select);
  defineLog(program, select);
  defineUnlock(program, select);
  defineDoctor(program, select);
  defineConfig(program, select);
  defineCompletion(program, select);
  defineHelp(program, select);
  return program;
}

/** Commands of the contract that this release does not have, and what can be done meanwhile. */
export const FUTURE_COMMANDS: ReadonlyMap<string, string> = new Map([
  ...['snapshots', 'forget', 'diff', 'serve'].map(
    (name) => [name, 'See `ecsync help` for what is.'] as const,
  ),
]);
