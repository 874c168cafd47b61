/**
 * Runs one command after another in a process that is started once. A process of its own for each of some
 * three thousand commands would spend most of its time on starting.
 *
 * As much as can be is what `ecsync` itself does: the bundle, standard output and error, the environment, the
 * current folder, `process.exit`. A command that leaves anything behind ends the process, as it would end its own.
 */
import { getPriority } from 'node:os';
import { hostOfProcess, openProcessOutput } from '../../src/cli/process-host.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import type { WarmRequest } from './warm-request.ts';

const COMMANDS_AT_MOST = 50;

/** What keeps this process alive while no command runs: the channel to the tests. */
const AT_REST = new Set(['PipeWrap']);
const priority = getPriority();
const listenersAtRest = process.listenerCount('exit');
let commands = 0;

function hasLeftSomething(): boolean {
  return (
    process.listenerCount('exit') > listenersAtRest ||
    process.stdin.readableFlowing !== null ||
    getPriority() !== priority ||
    process.getActiveResourcesInfo().some((resource) => !AT_REST.has(resource))
  );
}

async function run({ program, words, cwd, environment }: WarmRequest): Promise<void> {
  for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name);
  Object.assign(process.env, environment);
  process.chdir(cwd);
  process.argv[1] = program;
  const output = openProcessOutput();
  const host = hostOfProcess(output.out, new AbortController().signal);
  const code = await output.end(await runCommandLine(words, host));
  process.chdir('/'); // whatever the command was in can be removed and unmounted
  commands += 1;
  // Handles that were closed just now are gone in the next turn.
  await new Promise((resolve) => setImmediate(resolve));
  if (commands >= COMMANDS_AT_MOST || hasLeftSomething()) process.exit(code);
  process.send?.(code);
}

process.on('message', (request: WarmRequest) => void run(request));
process.on('disconnect', () => process.exit());
