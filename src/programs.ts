/** Finds programs that are named without a folder, but never in the current folder. */
import fs from 'node:fs';
import path from 'node:path';
import { isWindows } from './platform.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Programs of Windows itself, by the names under which they are called. Paths are below its own
 * folder.
 */
const OF_WINDOWS: Readonly<Record<string, string>> = {
  powershell: 'System32\\WindowsPowerShell\\v1.0\\powershell.exe',
  schtasks: 'System32\\schtasks.exe',
};

/** Extensions that can be started without a shell. */
const EXTENSIONS = ['.com', '.exe'];

/**
 * The program to start for a name. On Windows the system and Node search for a bare name in the
 * current folder first, so anybody who can write there could have their own program run. So a bare
 * name is resolved to a full path: programs of Windows in its folder, others in the absolute
 * folders of PATH. A name with a folder, and every name on other systems, is returned unchanged.
 *
 * @returns the argument for `spawn`; a file that does not exist if there is no such program
 */
export function programFile(program: string): string {
  if (!isWindows) return program;
  const candidates = windowsCandidates(program, process.env);
  return candidates.find((file) => isFile(file)) ?? candidates.at(-1) ?? program;
}

/** The files that a name may mean on Windows, in the order in which they are tried. */
export function windowsCandidates(program: string, environment: Environment): readonly string[] {
  if (/[\\/:]/.test(program)) return [program];
  const system = windowsFolder(environment);
  const ofWindows = OF_WINDOWS[program.toLowerCase().replace(/\.exe$/, '')];
  if (ofWindows !== undefined) return [path.win32.join(system, ofWindows)];
  const names = EXTENSIONS.map((extension) => program + extension);
  if (program.includes('.')) names.unshift(program);
  const folders = [...absoluteFolders(environment, 'win32'), path.win32.join(system, 'System32')];
  return folders.flatMap((folder) => names.map((name) => path.win32.join(folder, name)));
}

/** The folder of Windows. */
export function windowsFolder(environment: Environment): string {
  const told = valueOf(environment, 'SystemRoot');
  return told !== undefined && isFullWindowsPath(told) ? told : 'C:\\Windows';
}

/** The folders of PATH that do not depend on the current folder. */
export function absoluteFolders(
  environment: Environment,
  platform: NodeJS.Platform,
): readonly string[] {
  if (platform !== 'win32') {
    return (environment['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'));
  }
  const folders = (valueOf(environment, 'PATH') ?? '').split(';');
  return folders.map((folder) => folder.replace(/^"(.*)"$/, '$1')).filter(isFullWindowsPath);
}

/**
 * Whether a path has a drive or a server. A path that only begins with a backslash is on the
 * current drive.
 */
function isFullWindowsPath(file: string): boolean {
  return /^(?:[A-Za-z]:[\\/]|\\\\[^\\])/.test(file);
}

/** Windows ignores the case of variable names. */
function valueOf(environment: Environment, name: string): string | undefined {
  const wanted = name.toUpperCase();
  return Object.entries(environment).find(([key]) => key.toUpperCase() === wanted)?.[1];
}

/** Accepts links, and app aliases, which cannot be followed. */
function isFile(file: string): boolean {
  try {
    return !fs.lstatSync(file).isDirectory();
  } catch {
    return false;
  }
}
