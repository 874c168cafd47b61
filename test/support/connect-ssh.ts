/** Logs in with the built-in ssh, by a route that the configuration says. */
import { homedir } from 'node:os';
import type { Remote } from '../../src/transport/connection.ts';
import type { SshTarget } from '../../src/transport/ssh-target.ts';
import { joinReasons, unsupportedConfig } from '../../src/transport/ssh/choice.ts';
import { LoginMemory } from '../../src/transport/ssh/memory.ts';
import type { SshOptions } from '../../src/transport/ssh/options.ts';
import { resolveRoute } from '../../src/transport/ssh/route.ts';
import { connectRoute } from '../../src/transport/ssh/ssh.ts';
import { withEndingQuestions } from '../../src/transport/ssh/questions.ts';

/** As a destination is reached by the built-in ssh, without a look at the system's. */
export async function connectSsh(target: SshTarget, options: SshOptions): Promise<Remote> {
  const { homeDir = homedir(), configFile } = options;
  const route = await resolveRoute(target, { homeDir, configFile });
  const missing = route.flatMap(({ config }) => config.unsupported);
  if (missing.length > 0) throw unsupportedConfig(joinReasons(missing));
  return connectRoute(route, withEndingQuestions(options), new LoginMemory());
}
