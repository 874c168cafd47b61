import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import path from 'node:path';
import type { Bench } from './run-cli.ts';

/** An old setup: how stock gocryptfs and stock rsync made the copy. */
export interface OldSetup {
  /** `gocryptfs -reverse` read by rsync, or a mount that was written to. */
  readonly kind: 'reverse' | 'forward';
  /** Further arguments of `gocryptfs -init`. */
  readonly words: readonly string[];
}

/** Mounts with stock gocryptfs while `act` runs. */
async function whileMounted(
  { bench, words, folder }: { bench: Bench; words: readonly string[]; folder: string },
  act: (mountpoint: string) => void,
): Promise<void> {
  const mountpoint = path.join(bench.dir, 'mounted');
  mkdirSync(mountpoint, { recursive: true });
  const all = ['-q', '-nosyslog', ...words, '-passfile', bench.passfile, folder, mountpoint];
  const [code] = (await once(spawn('gocryptfs', all, { stdio: 'ignore' }), 'exit')) as [number];
  if (code !== 0) throw new Error(`gocryptfs could not mount ${folder}: exit code ${code}`);
  try {
    act(mountpoint);
  } finally {
    execFileSync('fusermount', ['-u', mountpoint]);
  }
}

function init(bench: Bench, words: readonly string[], folder: string): void {
  const all = ['-q', '-nosyslog', '-init', '-scryptn', '10', '-passfile', bench.passfile];
  execFileSync('gocryptfs', [...all, ...words, folder], { stdio: 'ignore' });
}

/** Makes the copy of the bench's source with stock programs. */
export async function makeOldCopy(bench: Bench, { kind, words }: OldSetup): Promise<void> {
  const { source, copy } = bench;
  if (kind === 'reverse') {
    init(bench, ['-reverse', ...words], source);
    await whileMounted({ bench, words: ['-reverse'], folder: source }, (mountpoint) => {
      execFileSync('rsync', ['-aH', `${mountpoint}/`, `${copy}/`]);
    });
    return;
  }
  const cipher = path.join(bench.dir, 'cipher');
  mkdirSync(cipher);
  init(bench, words, cipher);
  await whileMounted({ bench, words: [], folder: cipher }, (mountpoint) => {
    execFileSync('rsync', ['-aH', `${source}/`, `${mountpoint}/`]);
  });
  execFileSync('rsync', ['-aH', `${cipher}/`, `${copy}/`]);
  rmSync(cipher, { recursive: true });
}

/** The format's own files of a copy, by full path. */
export function virtualFiles(copy: string): string[] {
  return readdirSync(copy, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(^|\/)gocryptfs\.(diriv|longname\.[^/]{43}\.name)$/.test(name))
    .map((name) => path.join(copy, name))
    .sort();
}

/** Makes the format's own files ten seconds younger, as gocryptfs 2.5 and later show them. */
export function shiftVirtualTimes(copy: string): void {
  for (const file of virtualFiles(copy)) {
    const { mtimeMs } = lstatSync(file);
    utimesSync(file, mtimeMs / 1000 + 10, mtimeMs / 1000 + 10);
  }
}
