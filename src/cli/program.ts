/** The whole command line as one commander program. */
import { Command } from 'commander';
import { defineAdopt } from './vault/adopt.ts';
import { defineCat } from './copies/cat.ts';
import { defineClone } from './vault/clone.ts';
import { defineCompletion } from './help/completion.ts';
import { defineConfig } from './vault/config.ts';
import { defineDoctor } from './check/doctor.ts';
import { defineFind } from './copies/find.ts';
import { defineFsck } from './check/fsck.ts';
import { defineHelp } from './help/help.ts';
import { defineInit } from './vault/init.ts';
import { defineKey } from './keys/key.ts';
import { defineLog } from './status/log.ts';
import { defineLs } from './copies/ls.ts';
import { defineName } from './copies/name.ts';
import { definePlan } from './push/plan.ts';
import { definePush } from './push/push.ts';
import { defineRemote } from './vault/remote.ts';
import { defineRestore } from './copies/restore.ts';
import { defineSchedule } from './schedule/schedule.ts';
import { defineStatus } from './status/status.ts';
import { defineUnlock } from './keys/unlock.ts';
import { defineVerify } from './check/verify.ts';
import { addCommonOptions } from './frame/options.ts';
import type { Selected } from './frame/selected.ts';

/** Receives the texts that commander itself prints. */
export interface ProgramTexts {
  readonly version: string;
  out(text: string): void;
  err(text: string): void;
}

/**
 * The whole command line. Calls `select` with the named command. Commander never exits by itself.
 */
export function buildProgram(texts: ProgramTexts, select: Selected): Command {
  const program = new Command('ecsync')
    .description('Keeps an encrypted, gocryptfs-compatible copy of a folder on another machine.')
    .version(texts.version, '-V, --version', 'show the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => texts.out(text),
      writeErr: (text) => texts.err(text),
      outputError: () => undefined, // errors are shown in one place
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

/** Planned commands that this release does not have, each with a hint. */
export const FUTURE_COMMANDS: ReadonlyMap<string, string> = new Map([
  ...['snapshots', 'forget', 'diff', 'serve'].map(
    (name) => [name, 'See `ecsync help` for the commands that exist.'] as const,
  ),
]);
