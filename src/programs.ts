/** Where programs are found that are named without a folder: never in the current one. */
import fs from 'node:fs';
import path from 'node:path';
import { isWindows } from './platform.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Programs of Windows itself, by the names under which they are called; below its own folder. */
const OF_WINDOWS: Readonly<Record<string, string>> = {
  powershell: 'System32\\WindowsPowerShell\\v1.0\\powershell.exe',
  schtasks: 'System32\\schtasks.exe',
};

/** What is started without a shell. */
const EXTENSIONS = ['.com', '.exe'];

/**
 * The program to start for a name. On Windows a bare name is looked for in the current folder first,
 * by the system and by Node: whoever can write there could have their own program run. So the file is
 * named in full: programs of Windows in its folder, others in the absolute folders of PATH. A name
 * with a folder, and every name on other systems, stays what it is.
 *
 * @returns what to hand to `spawn`; where there is no such program, a file that does not exist
 */
export function programFile(program: string): string {
  if (!isWindows) return program;
  const candidates = windowsCandidates(program, process.env);
  return candidates.find((file) => isFile(file)) ?? candidates.at(-1) ?? program;
}

/** The files that a name may stand for on Windows, in the order in which they are tried. */
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

/** The folders of PATH that are the same wherever a program is started. */
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

/** With a drive or a server: a path that only begins with a backslash is on the current drive. */
function isFullWindowsPath(file: string): boolean {
  return /^(?:[A-Za-z]:[\\/]|\\\\[^\\])/.test(file);
}

/** Windows does not tell variables apart by case. */
function valueOf(environment: Environment, name: string): string | undefined {
  const wanted = name.toUpperCase();
  return Object.entries(environment).find(([key]) => key.toUpperCase() === wanted)?.[1];
}

/** Also a link, and an alias of an app, which cannot be followed. */
function isFile(file: string): boolean {
  try {
    return !fs.lstatSync(file).isDirectory();
  } catch {
    return false;
  }
}
