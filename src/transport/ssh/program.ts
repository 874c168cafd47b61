/** Finds the system's ssh and gives it the words to stand in for the built-in one. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import path from 'node:path';
import { absoluteFolders, windowsFolder } from '../../programs.ts';
import type { SshHostConfig } from './config/config.ts';
import type { SshOptions } from './options.ts';

/** Where programs are looked for. */
export interface ProgramPlaces {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Finds the system's ssh: on Windows its own OpenSSH first, then what PATH has.
 *
 * @returns its full path; undefined when there is none
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
 * The words with which the system's ssh stands in for the built-in one: the same files, no less care
 * about host keys (`StrictHostKeyChecking no` is not obeyed), the same patience.
 *
 * @param program - from {@link findSystemSsh}
 */
export function standInWords(
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

/** ssh takes the home folder from the system's list of accounts, we from the environment. */
export function isAccountHome(homeDir: string): boolean {
  try {
    return path.resolve(userInfo().homedir) === path.resolve(homeDir);
  } catch {
    return true; // no such list
  }
}

function otherHome(config: SshHostConfig, homeDir: string): string[] {
  if (isAccountHome(homeDir)) return [];
  return [
    `UserKnownHostsFile=${config.userKnownHostsFiles.map(quoted).join(' ') || 'none'}`,
    ...config.identityFiles.map((file) => `IdentityFile=${quoted(file)}`),
  ];
}

/** One word of an option: percent signs and quotes as they are. */
function quoted(file: string): string {
  return `"${file.replaceAll('%', '%%').replace(/["\\]/g, '\\$&')}"`;
}
