/** The environment for programs that talk to services of the user's session. */
import fs from 'node:fs';

/**
 * The environment for a program that talks to services of the user's session. A login without a
 * session of its own (su, cron) can use the user's manager and its bus all the same.
 */
export function sessionEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const runtime = `/run/user/${process.getuid?.() ?? 0}`;
  const needsRuntime = environment['XDG_RUNTIME_DIR'] === undefined && fs.existsSync(runtime);
  return {
    ...environment,
    LC_ALL: 'C',
    ...(needsRuntime ? { XDG_RUNTIME_DIR: runtime } : {}),
  };
}
