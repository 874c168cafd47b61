import { execFile, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import type { CliResult } from './cli.ts';

const run = promisify(execFile);
const BUILDS = path.resolve(import.meta.dirname, '../../../node_modules/.cache/windows-node');

/** Installed versions of Node for Windows: the oldest supported one, and a common one. */
export type WindowsNode = '20' | '22';

/**
 * Windows builds of Node under Wine, with a Windows installation of its own in a temporary folder.
 */
export interface Windows {
  /** The temporary folder of all of this. `remove()` removes it. */
  readonly dir: string;
  /** The local path of `C:\`. */
  readonly driveC: string;
  /** The local path of `D:\`, another volume than `C:\`. */
  readonly driveD: string;
  /** The local path of the home folder. */
  readonly home: string;
  /** Runs `ecsync` as a scheduler does: no terminal, no standard input. */
  ecsync(version: WindowsNode, words: readonly string[]): Promise<CliResult>;
  /** Ends all processes and removes the folder. */
  remove(): Promise<void>;
}

/**
 * The local path of node.exe.
 *
 * @throws {Error} it is not installed
 */
export function windowsNode(version: WindowsNode): string {
  const node = path.join(BUILDS, version, 'node.exe');
  if (existsSync(node)) return node;
  throw new Error(`Node ${version} for Windows is not there: run scripts/install-windows-node.sh`);
}

/** A local path as a program in Wine names it. */
export function onDriveZ(file: string): string {
  return `Z:${file.replaceAll('/', '\\')}`;
}

/**
 * Makes a Windows installation.
 *
 * @throws {Error} Wine is not installed
 */
export async function makeWindows(): Promise<Windows> {
  const dir = mkdtempSync(path.join(tmpdir(), 'ecsync-windows-'));
  const prefix = path.join(dir, 'wine');
  const driveD = path.join(dir, 'drive_d');
  const env = environment(dir, prefix);
  mkdirSync(env.HOME);
  mkdirSync(driveD);
  await run('wine', ['wineboot', '-i'], { env });
  await run('wine', ['winecfg', '-v', 'win10'], { env });
  symlinkSync(driveD, path.join(prefix, 'dosdevices', 'd:'));
  const users = path.join(prefix, 'drive_c', 'users');
  const user = readdirSync(users).find((name) => name !== 'Public');
  if (user === undefined) throw new Error(`Wine made no home folder in ${users}`);
  let count = 0;
  return {
    dir,
    driveC: path.join(prefix, 'drive_c'),
    driveD,
    home: path.join(users, user),
    ecsync: (version, words) => {
      const output = path.join(dir, `output-${count++}`);
      return runInWine([windowsNode(version), onDriveZ(inject('cliPath')), ...words], {
        env,
        output,
      });
    },
    remove: async () => {
      await run('wineserver', ['-k', '-w'], { env }).catch(() => undefined); // nothing is running any more
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function environment(dir: string, prefix: string) {
  return {
    PATH: process.env['PATH'],
    HOME: path.join(dir, 'home'),
    LC_ALL: 'C.UTF-8', // names on the local disk are UTF-8
    WINEPREFIX: prefix,
    WINEDEBUG: '-all',
    WINEDLLOVERRIDES: 'mscoree,mshtml=', // asks for no download
    NODE_SKIP_PLATFORM_CHECK: '1', // Wine reports an older Windows than Node requires
  };
}

/** Redirects output to files, since Node for Windows does not start with local pipes. */
function runInWine(
  words: readonly string[],
  { env, output }: { readonly env: NodeJS.ProcessEnv; readonly output: string },
): Promise<CliResult> {
  const files = [`${output}.out`, `${output}.err`] as const;
  const [out, err] = [openSync(files[0], 'w'), openSync(files[1], 'w')];
  return new Promise((resolve, reject) => {
    const child = spawn('wine', words, {
      cwd: '/',
      env,
      stdio: ['ignore', out, err],
    });
    closeSync(out);
    closeSync(err);
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({
        code,
        signal,
        stdout: readFileSync(files[0], 'latin1'),
        stderr: readFileSync(files[1], 'utf8'),
      }),
    );
  });
}
