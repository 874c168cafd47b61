/** Reaches a machine by ssh, built-in or the system's. */
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { LoginError } from '../../errors.ts';
import type { Remote } from '../connection.ts';
import { chooseSsh, unsupportedConfig, type SshChoice, type StandIn } from './choice.ts';
import { findForeignWays } from './foreign-ways.ts';
import { HostKeyCheck } from './host-key.ts';
import { findIdentities } from './identities.ts';
import { LoginMemory } from './memory.ts';
import type { SshOptions } from './options.ts';
import { findSystemSsh, isAccountHome, standInWords } from './program.ts';
import { resolveRoute, type SshRoute } from './route.ts';
import type { SshTarget } from '../ssh-target.ts';
import { connectRoute } from './ssh.ts';
import { systemSsh } from './system-ssh.ts';

/** What {@link reachSsh} goes by. */
export interface ReachOptions extends SshOptions {
  /** A person is there, so that the system's ssh may ask on the terminal. */
  readonly interactive: boolean;
}

/**
 * Reaches a machine by ssh: with the built-in ssh, or with the system's where the configuration, the
 * known hosts or the keys need more than the built-in one has.
 *
 * @throws {UsageError} `ssh-config-unsupported` — and there is no system ssh; otherwise as
 *   `connectSsh`
 * @throws {LoginError | ConnectionError} as `connectSsh`; the system's ssh reports its failures when
 *   a command is started
 */
export async function reachSsh(target: SshTarget, options: ReachOptions): Promise<Remote> {
  const homeDir = options.homeDir ?? homedir();
  const route = await resolveRoute(target, { homeDir, configFile: options.configFile });
  const memory = new LoginMemory();
  const choice = await choose(route, options, memory);
  const useSystem = async (program: string, why: string): Promise<Remote> => {
    options.onDetail?.(`using the system's ssh (${program}): ${why}`);
    const { config } = route[route.length - 1] ?? route[0];
    const configFile = options.configFile ?? (await unusualConfig(homeDir));
    const withFile = configFile === undefined ? {} : { configFile };
    const words = standInWords(program, config, { ...options, ...withFile, homeDir });
    return systemSsh(words, target, { interactive: options.interactive && !config.batchMode });
  };
  switch (choice.use) {
    case 'none':
      throw unsupportedConfig(choice.missing);
    case 'system':
      return useSystem(choice.program, choice.why);
    case 'builtin':
      try {
        const { otherwise } = choice;
        return await connectRoute(route, otherwise ? withoutPassword(options) : options, memory);
      } catch (error) {
        const standIn = error instanceof LoginError && (await standInAfter(error.code, choice));
        if (!standIn) throw error;
        return useSystem(standIn.program, standIn.why);
      }
  }
}

/** What the system's ssh may do better after the built-in one failed. */
async function standInAfter(
  code: string,
  choice: SshChoice & { readonly use: 'builtin' },
): Promise<StandIn | undefined> {
  if (code === 'login-refused') return choice.otherwise;
  if (code !== 'algorithms-mismatch') return undefined;
  const { platform, env: environment } = process;
  const program = await findSystemSsh({ platform, environment });
  return program === undefined
    ? undefined
    : { program, why: 'the server has no algorithm in common with the built-in ssh' };
}

/** The system's ssh asks for itself when it comes to that. */
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
  const beyondUs: string[] = [];
  const better: string[] = [];
  const foreignWays: string[] = [];
  let hasKeys = true;
  for (const { config } of route) {
    beyondUs.push(...config.beyondUs);
    better.push(...config.better);
    const hasMethods = config.loginMethods.length > 0;
    if (!hasMethods) beyondUs.push(...config.foreignMethods);
    const acceptNew = options.acceptNewHostKey;
    const hostKeys = await HostKeyCheck.load(config, { acceptNew, onNotice: () => undefined });
    const { ways } = hostKeys;
    if (ways.certAuthority) {
      (ways.key ? better : beyondUs).push('the certificate of a host key (@cert-authority)');
    }
    const foreign = await findForeignWays(config, homeDir);
    if (foreign.length === 0) continue;
    foreignWays.push(...foreign);
    const ask = config.batchMode ? undefined : options.askPassphrase;
    hasKeys &&= !(await findIdentities(config, ask, memory)).isEmpty;
  }
  const { platform, env: environment } = process;
  const isPlain = [beyondUs, better, foreignWays].every((reasons) => reasons.length === 0);
  const program = isPlain ? undefined : await findSystemSsh({ platform, environment });
  return chooseSsh({ beyondUs, better, foreignWays, hasKeys, systemSsh: program });
}

/** The user's configuration where ssh itself would not look for it. */
async function unusualConfig(homeDir: string): Promise<string | undefined> {
  if (isAccountHome(homeDir)) return undefined;
  const file = path.join(homeDir, '.ssh', 'config');
  return access(file).then(
    () => file,
    () => undefined,
  );
}
