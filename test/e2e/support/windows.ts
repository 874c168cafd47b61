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
const NODE = path.resolve(
  import.meta.dirname,
  '../../../node_modules/.cache/windows-node/22/node.exe',
);

/** The Windows build of Node under Wine, with a Windows installation of its own in a temporary folder. */
export interface Windows {
  /** Temporary folder of all of this; removed by `remove()`. */
  readonly dir: string;
  /** Here, what is `C:\` there. */
  readonly driveC: string;
  /** Here, what is `D:\` there: another volume than `C:\`. */
  readonly driveD: string;
  /** Here, what is the home folder there. */
  readonly home: string;
  /** `node.exe`, as a path there. */
  readonly node: string;
  /** Runs `ecsync` there as a scheduler does: no terminal, no standard input. */
  ecsync(...words: readonly string[]): Promise<CliResult>;
  /** Ends everything that runs there and removes the folder. */
  remove(): Promise<void>;
}

/** A path of this machine as a program in Wine names it. */
export function onDriveZ(file: string): string {
  return `Z:${file.replaceAll('/', '\\')}`;
}

/**
 * Makes a Windows installation.
 *
 * @throws {Error} when Wine or the Windows build of Node is not there
 */
export async function makeWindows(): Promise<Windows> {
  if (!existsSync(NODE)) throw new Error('no node.exe: run scripts/install-windows-node.sh');
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
    node: onDriveZ(NODE),
    ecsync: (...words) => ecsync(words, { env, output: path.join(dir, `output-${count++}`) }),
    remove: async () => {
      await run('wineserver', ['-k', '-w'], { env }).catch(() => undefined); // nothing runs any more
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function environment(dir: string, prefix: string) {
  return {
    PATH: process.env['PATH'],
    HOME: path.join(dir, 'home'),
    LC_ALL: 'C.UTF-8', // names on the disk here are UTF-8
    WINEPREFIX: prefix,
    WINEDEBUG: '-all',
    WINEDLLOVERRIDES: 'mscoree,mshtml=', // asks for no download
    NODE_SKIP_PLATFORM_CHECK: '1', // Wine says it is an older Windows than Node asks for
  };
}

/** Output goes to files: with pipes of this machine Node for Windows does not start. */
function ecsync(
  words: readonly string[],
  { env, output }: { readonly env: NodeJS.ProcessEnv; readonly output: string },
): Promise<CliResult> {
  const files = [`${output}.out`, `${output}.err`] as const;
  const [out, err] = [openSync(files[0], 'w'), openSync(files[1], 'w')];
  return new Promise((resolve, reject) => {
    const child = spawn('wine', [NODE, onDriveZ(inject('cliPath')), ...words], {
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
