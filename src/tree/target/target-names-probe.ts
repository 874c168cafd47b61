/** Finds out by trying which names a folder can hold. */
import { randomBytes } from 'node:crypto';
import { lstatSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ANY_NAMES, WINDOWS_NAMES, type NameRules } from './target-names.ts';

/**
 * What names a folder can hold, by trying: a file is made in it, looked for under other spellings
 * of its name, and removed. Where nothing can be made, the platform's habits count.
 *
 * @param folder - absolute path of a folder that exists; undefined: nothing may be made
 */
export function probeNames(folder: string | undefined, platform: NodeJS.Platform): NameRules {
  if (platform === 'win32') return WINDOWS_NAMES;
  const isApple = platform === 'darwin';
  const habits = { ...ANY_NAMES, foldsCase: isApple, foldsForms: isApple, utf8Only: isApple };
  if (folder === undefined) return habits;
  const stem = `.ecsync-probe-${randomBytes(6).toString('hex')}`;
  const at = (end: string): string => path.join(folder, `${stem}${end}`);
  const made = at('a\u00e9');
  try {
    writeFileSync(made, '', { flag: 'wx', mode: 0o600 });
    const isThere = (end: string): boolean =>
      lstatSync(at(end), { throwIfNoEntry: false }) !== undefined;
    const foldsCase = isThere('A\u00e9');
    const foldsForms = isThere('ae\u0301');
    return {
      ...ANY_NAMES,
      foldsCase,
      foldsForms,
      utf8Only: takesTextOnly(folder, stem),
    };
  } catch {
    return habits;
  } finally {
    rmSync(made, { force: true });
  }
}

/** Whether a name that is no UTF-8 is refused. */
function takesTextOnly(folder: string, stem: string): boolean {
  const raw = Buffer.concat([Buffer.from(path.join(folder, stem)), Buffer.from([0xff])]);
  try {
    writeFileSync(raw, '', { flag: 'wx', mode: 0o600 });
    return false;
  } catch {
    return true;
  } finally {
    rmSync(raw, { force: true });
  }
}
