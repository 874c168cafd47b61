/** The one rule for typed paths in a vault or a copy. */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { showPath } from '../../tree/file-failure.ts';
import { inside } from '../../tree/local/overlap.ts';
import { ROOT_PATH } from '../../bytes/paths.ts';

/** Where typed paths start. */
export interface PathOrigin {
  /** Absolute: the current folder. */
  readonly folder: string;
  /** Absolute: the folder of the vault. Undefined if there is only a copy. */
  readonly source: string | undefined;
}

/** For the help of every command that takes paths. */
export const PATH_RULE = `
PATHs start at the current folder when that is inside the vault, otherwise at the vault's top; so does
/PATH. An absolute path of this machine that lies in the vault's folder is understood, too.`;

/**
 * Resolves a typed path, relative to the root of the vault. It need not exist.
 *
 * @param typed - bytes; on Windows with either slash
 * @returns components joined by `/`; the root is `.`
 * @throws {UsageError} `path-outside`
 */
export function pathFromTop(typed: Uint8Array, origin: PathOrigin): Uint8Array {
  const start = isAbsolute(typed) ? '' : currentPlace(origin);
  const names = start === '' ? [] : start.split('/');
  for (const name of withSlashes(insideSource(typed, origin) ?? text(typed)).split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.pop() === undefined) throw outside(typed, origin);
  }
  return names.length === 0 ? ROOT_PATH : Buffer.from(names.join('/'), 'latin1');
}

/** The current folder's path in the vault, bytes as Latin-1. Empty: at the root, or outside. */
export function currentPlace({ folder, source }: PathOrigin): string {
  if (source === undefined) return '';
  const place = inside(source, folder) ?? inside(realPath(source), realPath(folder)) ?? '';
  return withSlashes(text(Buffer.from(place)));
}

function isAbsolute(typed: Uint8Array): boolean {
  return path.isAbsolute(text(typed));
}

/**
 * The part of an absolute path of this machine below the vault's folder, bytes as Latin-1.
 *
 * @throws {UsageError} `path-outside` — on another drive
 */
function insideSource(typed: Uint8Array, { folder, source }: PathOrigin): string | undefined {
  if (source === undefined || !isAbsolute(typed)) return undefined;
  const top = text(Buffer.from(source));
  const found = inside(top, text(typed));
  if (found !== undefined) return found;
  const { root } = path.parse(text(typed));
  if (/[A-Za-z]:/.test(root)) throw outside(typed, { folder, source });
  return undefined;
}

export function realPath(folder: string): string {
  try {
    return fs.realpathSync(folder);
  } catch {
    return folder; // Without a real path, its given name counts.
  }
}

function withSlashes(name: string): string {
  return path.sep === '\\' ? name.replaceAll('\\', '/') : name;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function outside(typed: Uint8Array, { source }: PathOrigin): UsageError {
  const where = source === undefined ? 'the copy' : `the vault's folder ${source}`;
  return new UsageError('path-outside', `${showPath(typed)} is outside ${where}`, {
    hint: 'Paths start at the current folder inside the vault; /PATH starts at its top.',
  });
}

/** @param shown - a path of the source that does not exist */
export function pathMissing(shown: string): UsageError {
  return new UsageError('path-missing', `${shown} does not exist`, {
    hint: 'Paths start at the current folder inside the vault, or at -C DIR; /PATH starts at its top.',
  });
}
