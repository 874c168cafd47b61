/** Finds the system's ssh and builds its command line. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import path from 'node:path';
import { absoluteFolders, windowsFolder } from '../../programs.ts';
import type { SshHostConfig } from './config/config.ts';
import type { SshOptions } from './options.ts';

/** Where to look for programs. */
export interface ProgramPlaces {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Finds the system's ssh: on Windows the bundled OpenSSH first, then in PATH.
 *
 * @returns its full path; undefined if there is none
 */
export async function findSystemSsh(places: ProgramPlaces): Promise<string | undefined> {
  for (const file of candidates(places)) {
    if (await isProgram(file)) return file;
  }
  return undefined;
}

function candidates({ platform, environment }: ProgramPlaces): string[] {
  if (platform !== 'win32') {
    return absoluteFolders(environment, platform).map((dir) => path.posix.join(dir, 'ssh'));
  }
  const own = path.win32.join(windowsFolder(environment), 'System32', 'OpenSSH');
  const dirs = [own, ...absoluteFolders(environment, platform)];
  return dirs.map((dir) => path.win32.join(dir, 'ssh.exe'));
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

/**
 * The command line of the system's ssh as a replacement for the built-in one: with the same files,
 * the same strictness about host keys (`StrictHostKeyChecking no` is not obeyed) and the same
 * timeouts.
 *
 * @param program - from {@link findSystemSsh}
 */
export function systemSshArgs(
  program: string,
  config: SshHostConfig,
  options: SshOptions & { readonly homeDir: string },
): [string, ...string[]] {
  const { strictHostKeyChecking, connectTimeoutMs, serverAliveIntervalMs } = config;
  const checking =
    options.acceptNewHostKey && strictHostKeyChecking === 'ask'
      ? 'accept-new'
      : strictHostKeyChecking;
  const settings = [
    `StrictHostKeyChecking=${checking}`,
    `ServerAliveInterval=${serverAliveIntervalMs / 1000}`,
    `ConnectTimeout=${Math.ceil(Math.min(connectTimeoutMs ?? Infinity, options.connectTimeoutMs) / 1000)}`,
    'ClearAllForwardings=yes',
    'RemoteCommand=none',
    ...otherHome(config, options.homeDir),
  ];
  const files = options.configFile === undefined ? [] : ['-F', options.configFile];
  return [program, ...files, ...settings.flatMap((setting) => ['-o', setting])];
}

/** Whether the home folder is that of the account: ssh uses that one, we use the environment's. */
export function isAccountHome(homeDir: string): boolean {
  try {
    return path.resolve(userInfo().homedir) === path.resolve(homeDir);
  } catch {
    return true; // the user id has no account entry
  }
}

function otherHome(config: SshHostConfig, homeDir: string): string[] {
  if (isAccountHome(homeDir)) return [];
  return [
    `UserKnownHostsFile=${config.userKnownHostsFiles.map(quoted).join(' ') || 'none'}`,
    ...config.identityFiles.map((file) => `IdentityFile=${quoted(file)}`),
  ];
}

/** Quotes a file as one word of an option, with percent signs and quotes escaped. */
function quoted(file: string): string {
  return `"${file.replaceAll('%', '%%').replace(/["\\]/g, '\\$&')}"`;
}
