import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The output of stock `gocryptfs -fsck` for a cipher folder. */
export async function fsck(
  cipherDir: string,
  passfile: string,
): Promise<{ code: number; text: string }> {
  try {
    const words = ['-fsck', '-nosyslog', '-passfile', passfile, cipherDir];
    const { stdout, stderr } = await run('gocryptfs', words, { maxBuffer: 64 * 1024 * 1024 });
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, text: stdout + stderr };
  }
}

/**
 * Mounts, and waits only for the command, since the file system that it starts keeps its output
 * open.
 */
async function mount(words: readonly string[], cipherDir: string): Promise<void> {
  const [code] = (await once(spawn('gocryptfs', [...words], { stdio: 'ignore' }), 'exit')) as [
    number,
  ];
  if (code !== 0) throw new Error(`gocryptfs could not mount ${cipherDir}: exit code ${code}`);
}

/** Mounts a cipher folder with stock gocryptfs while `look` runs, read-only unless it is `writable`. */
export async function withMount<T>(
  cipherDir: string,
  passfile: string,
  look: (mountpoint: string) => Promise<T>,
  mode: 'writable' | 'read-only' = 'read-only',
): Promise<T> {
  const holder = await mkdtemp(path.join(tmpdir(), 'ecsync-mount-'));
  const mountpoint = path.join(holder, 'm');
  await mkdir(mountpoint);
  const words = ['-q', '-nosyslog', ...(mode === 'writable' ? [] : ['-ro'])];
  await mount([...words, '-passfile', passfile, cipherDir, mountpoint], cipherDir);
  try {
    return await look(mountpoint);
  } finally {
    await run('fusermount', ['-u', '-z', mountpoint]);
    await rm(holder, { recursive: true, force: true });
  }
}
