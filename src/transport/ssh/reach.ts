/** Reaches a machine by the built-in ssh or the system's. */
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { LoginError, type LoginCode } from '../../errors.ts';
import type { Remote } from '../connection.ts';
import { chooseSsh, unsupportedConfig, type SshChoice, type Fallback } from './choice.ts';
import { findSystemOnlyMethods } from './system-only-methods.ts';
import { HostKeyCheck } from './host-key.ts';
import { findIdentities } from './identities.ts';
import { LoginMemory } from './memory.ts';
import type { SshOptions } from './options.ts';
import { findSystemSsh, isAccountHome, systemSshArgs } from './program.ts';
import { withEndingQuestions } from './questions.ts';
import { resolveRoute, type SshRoute } from './route.ts';
import type { SshTarget } from '../ssh-target.ts';
import { connectRoute } from './ssh.ts';
import { systemSsh } from './system-ssh.ts';

/** The options of {@link reachSsh}. */
export interface SshReachOptions extends SshOptions {
  /** A person is present, so the system's ssh may ask on the terminal. */
  readonly interactive: boolean;
}

/**
 * Reaches a machine by the built-in ssh, or by the system's if the configuration, the known hosts
 * or the keys need features that the built-in one lacks.
 *
 * @throws {UsageError} `ssh-config-invalid`, `host-invalid`, `user-invalid`, `port-invalid`;
 *   `ssh-config-unsupported` — only the system's ssh would do, and there is none
 * @throws {LoginError | ConnectionError} as `connectRoute`; the system's ssh reports its failures
 *   when a command is started
 */
export async function reachSsh(target: SshTarget, given: SshReachOptions): Promise<Remote> {
  const options = withEndingQuestions(given);
  const homeDir = options.homeDir ?? homedir();
  const route = await resolveRoute(target, { homeDir, configFile: options.configFile });
  const memory = new LoginMemory();
  const choice = await choose(route, options, memory);
  options.signal.throwIfAborted();
  const useSystem = async (program: string, why: string): Promise<Remote> => {
    options.onDetail?.(`using the system's ssh (${program}): ${why}`);
    const { config } = route[route.length - 1] ?? route[0];
    const configFile = options.configFile ?? (await unusualConfig(homeDir));
    const withFile = configFile === undefined ? {} : { configFile };
    const words = systemSshArgs(program, config, { ...options, ...withFile, homeDir });
    return systemSsh(words, target, { interactive: options.interactive && !config.batchMode });
  };
  switch (choice.use) {
    case 'none':
      throw unsupportedConfig(choice.missing);
    case 'system':
      return useSystem(choice.program, choice.why);
    case 'builtin':
      try {
        const { fallback } = choice;
        return await connectRoute(route, fallback ? withoutPassword(options) : options, memory);
      } catch (error) {
        const fallback = error instanceof LoginError && (await fallbackAfter(error.code, choice));
        if (!fallback) throw error;
        return useSystem(fallback.program, fallback.why);
      }
  }
}

/** The system's ssh, if it may succeed after this failure of the built-in one. */
async function fallbackAfter(
  code: LoginCode,
  choice: SshChoice & { readonly use: 'builtin' },
): Promise<Fallback | undefined> {
  if (code === 'login-refused') return choice.fallback;
  if (code !== 'algorithms-mismatch') return undefined;
  const { platform, env: environment } = process;
  const program = await findSystemSsh({ platform, environment });
  return program === undefined
    ? undefined
    : { program, why: 'the server has no algorithm in common with the built-in ssh' };
}

/** Leaves out the password question, since the system's ssh will ask for itself. */
function withoutPassword(options: SshOptions): SshOptions {
  const { askPassword, ...others } = options;
  return askPassword === undefined ? options : others;
}

async function choose(
  route: SshRoute,
  options: SshOptions,
  memory: LoginMemory,
): Promise<SshChoice> {
  const homeDir = options.homeDir ?? homedir();
  const unsupported: string[] = [];
  const preferSystem: string[] = [];
  const systemOnlyMethods: string[] = [];
  let hasKeys = true;
  for (const { config } of route) {
    unsupported.push(...config.unsupported);
    preferSystem.push(...config.preferSystem);
    const hasMethods = config.loginMethods.length > 0;
    if (!hasMethods) unsupported.push(...config.unsupportedMethods);
    const acceptNew = options.acceptNewHostKey;
    const hostKeys = await HostKeyCheck.load(config, { acceptNew, onNotice: () => undefined });
    const { knownBy } = hostKeys;
    if (knownBy.certAuthority) {
      (knownBy.key ? preferSystem : unsupported).push(
        'the certificate of a host key (@cert-authority)',
      );
    }
    const foreign = await findSystemOnlyMethods(config, homeDir);
    if (foreign.length === 0) continue;
    systemOnlyMethods.push(...foreign);
    const ask = config.batchMode ? undefined : options.askPassphrase;
    hasKeys &&= !(await findIdentities(config, ask, memory)).isEmpty;
  }
  const { platform, env: environment } = process;
  const isPlain = [unsupported, preferSystem, systemOnlyMethods].every(
    (reasons) => reasons.length === 0,
  );
  const program = isPlain ? undefined : await findSystemSsh({ platform, environment });
  return chooseSsh({ unsupported, preferSystem, systemOnlyMethods, hasKeys, systemSsh: program });
}

/** The user's configuration file, if it is not where ssh itself would look for it. */
async function unusualConfig(homeDir: string): Promise<string | undefined> {
  if (isAccountHome(homeDir)) return undefined;
  const file = path.join(homeDir, '.ssh', 'config');
  return access(file).then(
    () => file,
    () => undefined,
  );
}
