import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const STOCK_PASSWORD = 'stock password';

/** A cipher folder that stock gocryptfs has written. */
export interface StockCopy {
  readonly cipherDir: string;
  readonly passfile: string;
}

/**
 * Makes a filesystem with stock gocryptfs and fills it through a mount.
 *
 * @param work - an existing folder; `name` and two siblings are made in it
 * @param words - further words of `gocryptfs -init`
 */
export async function makeStockCopy(
  work: string,
  { name, words }: { readonly name: string; readonly words: readonly string[] },
  fill: (mountPoint: string) => Promise<void> | void,
): Promise<StockCopy> {
  const cipherDir = path.join(work, name);
  const mountPoint = path.join(work, `${name}.mounted`);
  const passfile = path.join(work, `${name}.password`);
  await mkdir(cipherDir);
  await mkdir(mountPoint);
  await writeFile(passfile, `${STOCK_PASSWORD}\n`, { mode: 0o600 });
  const common = ['-q', '-nosyslog', '-passfile', passfile];
  await run('gocryptfs', [...common, '-init', '-scryptn', '10', ...words, cipherDir]);
  const mounting = spawn('gocryptfs', [...common, cipherDir, mountPoint], { stdio: 'ignore' });
  const [code] = (await once(mounting, 'exit')) as [number];
  if (code !== 0) throw new Error(`gocryptfs could not mount ${cipherDir}: exit code ${code}`);
  try {
    await fill(mountPoint);
  } finally {
    await run('fusermount', ['-u', mountPoint]);
  }
  return { cipherDir, passfile };
}

/** One complaint of `gocryptfs -fsck`. */
export interface StockComplaint {
  /** Plaintext path of the object, or of the folder that holds `entry`; the root is `.`. */
  readonly path: string;
  /** Name in the cipher folder of an entry that cannot be decrypted. */
  readonly entry?: string;
}

/** Runs `gocryptfs -fsck`. */
export async function stockFsck({
  cipherDir,
  passfile,
}: StockCopy): Promise<{ readonly code: number; readonly complaints: readonly StockComplaint[] }> {
  const words = ['-q', '-nosyslog', '-fsck', '-passfile', passfile, cipherDir];
  try {
    await run('gocryptfs', words);
    return { code: 0, complaints: [] };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, complaints: complaintsIn(stdout + stderr, cipherDir) };
  }
}

function complaintsIn(output: string, cipherDir: string): StockComplaint[] {
  const complaints: StockComplaint[] = [];
  for (const line of output.split('\n')) {
    const corrupt = /^fsck: corrupt entry in dir (".*"): (".*")/.exec(line);
    const other = /^fsck: error [^"]*("(?:[^"\\]|\\.)*")/.exec(line);
    const shown = (corrupt ?? other)?.[1];
    if (shown === undefined) continue;
    const entry = corrupt?.[2];
    complaints.push({
      path: unquote(shown) || '.',
      ...(entry === undefined ? {} : { entry: storedName(unquote(entry), cipherDir) }),
    });
  }
  return complaints;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Go's `%q` as bytes, one character each. */
function unquote(quoted: string): string {
  return Buffer.from(quoted.slice(1, -1))
    .toString('latin1')
    .replace(/\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(.))/g, (_, hex, unicode, letter: string) => {
      if (typeof hex === 'string') return String.fromCharCode(parseInt(hex, 16));
      if (typeof unicode !== 'string') return ESCAPES[letter] ?? letter;
      return Buffer.from(String.fromCharCode(parseInt(unicode, 16))).toString('latin1');
    });
}

/** Stock calls an object with a hashed name by what is in its `.name` file. */
function storedName(entry: string, cipherDir: string): string {
  for (const file of readdirSync(cipherDir, { recursive: true, encoding: 'utf8' })) {
    if (!/gocryptfs\.longname\.[^/]*\.name$/.test(file)) continue;
    const content = readFileSync(path.join(cipherDir, file)).toString('latin1');
    if (content === entry) return path.basename(file, '.name');
  }
  return entry;
}
