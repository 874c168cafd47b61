/** The version of this package. */
import { readFileSync } from 'node:fs';

/**
 * The version in `package.json`, which is two folders above this file in `src/`, in `dist/` and in
 * the bundle.
 */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const version = /"version":\s*"([^"]*)"/.exec(text)?.[1];
  return version ?? 'unknown';
}
