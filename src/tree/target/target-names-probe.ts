/** Finds out by trial which names a folder can hold. */
import { randomBytes } from 'node:crypto';
import { lstatSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ANY_NAMES, WINDOWS_NAMES, type NameRules } from './target-names.ts';

/**
 * Finds out by trial which names a folder can hold: creates a file in it, looks for it under other
 * spellings of its name, and removes it. Where no file can be created, assumes what is usual on the
 * platform.
 *
 * @param folder - absolute path of an existing folder; undefined: create nothing
 */
export function probeNames(folder: string | undefined, platform: NodeJS.Platform): NameRules {
  if (platform === 'win32') return WINDOWS_NAMES;
  const isApple = platform === 'darwin';
  const usual = { ...ANY_NAMES, foldsCase: isApple, foldsForms: isApple, utf8Only: isApple };
  if (folder === undefined) return usual;
  const stem = `.ecsync-probe-${randomBytes(6).toString('hex')}`;
  const at = (end: string): string => path.join(folder, `${stem}${end}`);
  const made = at('a\u00e9');
  try {
    writeFileSync(made, '', { flag: 'wx', mode: 0o600 });
    const exists = (end: string): boolean =>
      lstatSync(at(end), { throwIfNoEntry: false }) !== undefined;
    const foldsCase = exists('A\u00e9');
    const foldsForms = exists('ae\u0301');
    return {
      ...ANY_NAMES,
      foldsCase,
      foldsForms,
      utf8Only: takesTextOnly(folder, stem),
    };
  } catch {
    return usual;
  } finally {
    rmSync(made, { force: true });
  }
}

/** Whether the folder refuses a name that is not UTF-8. */
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
