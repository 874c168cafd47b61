import { execFile, execFileSync, spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A cipher directory mounted by the stock program. */
export interface Mount {
  readonly path: string;
  unmount(): Promise<void>;
}

/**
 * Mounts `cipherDir` read-only at the existing empty folder `mountPoint`.
 *
 * @param passfile - where the password goes; the caller removes it
 * @param flags - further options of gocryptfs, `-reverse` for one
 */
export async function mountStock(
  cipherDir: string,
  mountPoint: string,
  passfile: { readonly path: string; readonly password: string },
  flags: readonly string[] = [],
): Promise<Mount> {
  writeFileSync(passfile.path, passfile.password);
  return mountStockWith(['-passfile', passfile.path, ...flags, cipherDir, mountPoint]);
}

/**
 * Runs `gocryptfs` with the words of a mount, the last of them the mount point, read-only.
 *
 * @param input - what it reads from standard input
 */
export async function mountStockWith(words: readonly string[], input = ''): Promise<Mount> {
  const mountPoint = words.at(-1) ?? '';
  const gocryptfs = spawn('gocryptfs', ['-nosyslog', '-q', '-ro', '-fg', ...words], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  gocryptfs.stdin.on('error', () => undefined); // it may end without reading
  gocryptfs.stdin.end(input);
  let output = '';
  gocryptfs.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  gocryptfs.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<void>((resolve) => gocryptfs.once('exit', () => resolve()));
  for (let attempt = 0; !isMounted(mountPoint); attempt++) {
    if (gocryptfs.exitCode !== null || attempt === 500) {
      gocryptfs.kill();
      throw new Error(`gocryptfs did not mount: ${output}`);
    }
    await setTimeout(20);
  }
  return {
    path: mountPoint,
    unmount: async () => {
      await run('fusermount', ['-u', mountPoint]);
      await ended;
    },
  };
}

function isMounted(mountPoint: string): boolean {
  const mounts = execFileSync('cat', ['/proc/self/mounts']).toString();
  return mounts.split('\n').some((line) => line.split(' ')[1] === mountPoint);
}

/** `gocryptfs -fsck`: its exit code (0 clean, 26 problems) and what it said. */
export async function fsckStock(
  cipherDir: string,
  passfile: string,
): Promise<{ readonly code: number; readonly output: string }> {
  const words = ['-nosyslog', '-fsck', '-passfile', passfile, cipherDir];
  try {
    const { stdout, stderr } = await run('gocryptfs', words);
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    return { code: Number(error.code), output: error.message };
  }
}

/** Every name in a folder, as bytes, sorted. */
export function listing(path: string | Buffer): Buffer[] {
  return readdirSync(path, { encoding: 'buffer' }).sort((a, b) => Buffer.compare(a, b));
}
