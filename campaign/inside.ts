// Keeps the campaign inside its own folders: lists without following links, and refuses an edit
// that would lead elsewhere.
import { readdirSync, realpathSync } from 'node:fs';
import path from 'node:path';

/**
 * Every object below a folder, as paths relative to it, sorted. Links are not followed, as
 * `readdir` with `recursive` would do: an edit below such a link would change this machine.
 */
export function namesBelow(folder: string): string[] {
  const found: string[] = [];
  const enter = (at: string): void => {
    for (const entry of readdirSync(path.join(folder, at), { withFileTypes: true })) {
      const one = path.join(at, entry.name);
      found.push(one);
      if (entry.isDirectory()) enter(one);
    }
  };
  enter('');
  return found.sort();
}

/**
 * Returns a path that may be changed: with every link on the way resolved, it is inside the folder.
 *
 * @throws {Error} a change of it would reach outside
 */
export function inside(root: string, one: string): string {
  const base = realpathSync(root);
  const parent = realpathSync(path.dirname(one));
  if (parent !== base && !parent.startsWith(`${base}/`)) {
    throw new Error(`a change would leave ${root}: ${one}`);
  }
  return one;
}
