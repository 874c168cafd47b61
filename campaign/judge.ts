// Checks what must hold for a command and a copy. The results are findings: an empty list means
// success.
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { namesBelow } from './inside.ts';
import { type CompareOptions, differences } from '../test/e2e/support/compare.ts';
import type { CliResult } from '../test/e2e/support/run-cli.ts';
import { fsck, withMount } from '../test/e2e/support/stock.ts';

/** The exit codes in the contract of the command line. */
const EXIT_CODES = new Set([0, 1, 2, 4, 5, 10, 11, 12, 13, 23, 24, 25, 26, 30, 75, 130]);

/** The beginning of a long text. */
export function brief(text: string, length = 600): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}

/** A command that ended by itself has a known exit code, and a message if it failed. */
export function manners(run: CliResult): string[] {
  if (run.signal === 'SIGKILL') return [];
  const findings: string[] = [];
  const end = `exit ${String(run.signal ?? run.code)}: ${brief(run.stderr)}`;
  if (run.code === null || !EXIT_CODES.has(run.code)) findings.push(`exit-code: ${end}`);
  if (/bug in ecsync|^ {4}at /m.test(run.stderr)) findings.push(`crash: ${end}`);
  else if (run.code !== 0 && run.stderr.trim() === '') findings.push(`silent-failure: ${end}`);
  return findings;
}

/** The same, and the command succeeded. */
export function success(run: CliResult, kind: string): string[] {
  if (run.code === 0) return manners(run);
  return [...manners(run), `${kind}: exit ${String(run.signal ?? run.code)}: ${brief(run.stderr)}`];
}

/** Stock calls a copy clean. A copy without a conf must not show anything. */
export async function cleanCopy(copy: string, passfile: string, kind: string): Promise<string[]> {
  if (!existsSync(copy)) return [];
  if (!existsSync(path.join(copy, 'gocryptfs.conf'))) {
    const seen = readdirSync(copy).filter((name) => !name.startsWith('gocryptfs.'));
    return seen.length === 0 ? [] : [`${kind}: no conf, but ${seen.join(' ')}`];
  }
  const { code, text } = await fsck(copy, passfile);
  return code === 0 ? [] : [`${kind}: gocryptfs -fsck ${code}: ${brief(text)}`];
}

/** A mount of a copy equals the source. */
export async function equalCopy(
  place: { readonly source: string; readonly copy: string; readonly passfile: string },
  options: CompareOptions,
  kind: string,
): Promise<string[]> {
  try {
    const found = await withMount(place.copy, place.passfile, (mountpoint) =>
      Promise.resolve(differences(place.source, mountpoint, { ignore: ['.ecsync'], ...options })),
    );
    return found.length === 0 ? [] : [`${kind}: ${found.slice(0, 8).join('; ')}`];
  } catch (error) {
    return [`${kind}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** Temporary files that should be gone, in a vault and in the temporary directory of a copy. */
export function leftovers(vault: string, copy: string, kind: string): string[] {
  const inVault = existsSync(vault)
    ? namesBelow(vault).filter((name) => /(\.tmp|\.new|lock\.after-.*)$|^lock$/.test(name))
    : [];
  const inCopy = existsSync(copy)
    ? namesBelow(copy).filter(
        (name) =>
          /ecsync-(tmp|moved)[^/]*\/./.test(name) ||
          /ecsync-moved/.test(name) ||
          /(^|\/)\.[^/]*$/.test(name),
      )
    : [];
  const left = [...inVault.map((name) => `.ecsync/${name}`), ...inCopy];
  return left.length === 0 ? [] : [`${kind}: ${left.slice(0, 8).join(' ')}`];
}

/** Folders of a copy that have neither a diriv nor any other content. */
export function hasHalfFolders(copy: string): boolean {
  if (!existsSync(copy)) return false;
  const folders = namesBelow(copy).map((name) => path.join(copy, name));
  return folders.some((one) => lstatSync(one).isDirectory() && readdirSync(one).length === 0);
}
