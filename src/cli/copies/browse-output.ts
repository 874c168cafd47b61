/** Lists entries of a copy. */
import type { Entry } from '../../tree/entry.ts';
import {
  isDirectory,
  isRegularFile,
  isSymlink,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../../tree/entry.ts';
import { objectKindOf } from '../../view/decrypt/decrypted-view-problem.ts';
import type { Output } from '../terminal/output.ts';
import { jsonPath } from '../terminal/render-item.ts';
import { shown } from '../terminal/terminal.ts';

const NEWLINE = Uint8Array.of(0x0a);
const NUL = Uint8Array.of(0x00);
const SLASH = Buffer.from('/');
const ARROW = Buffer.from(' -> ');

/** The format of a listing. */
export interface ListingForm {
  readonly long?: boolean;
  /** Items end in a NUL, and nothing is escaped. */
  readonly null?: boolean;
  /** Escape special bytes even without a terminal. */
  readonly escaped?: boolean;
}

/**
 * Prints one entry. On a terminal, special bytes are escaped and folders end in a slash. Otherwise
 * names are raw, unless the format says otherwise.
 *
 * @param name - the path of the entry, or its last part
 */
export function listEntry(out: Output, form: ListingForm, entry: Entry, name: Uint8Array): void {
  if (out.mode.json) {
    out.event(entryEvent(entry));
    return;
  }
  const isForPeople = out.isTerminal && form.null !== true;
  const parts: Uint8Array[] = [];
  const isEscaped = isForPeople || form.escaped === true;
  const show = (bytes: Uint8Array): Uint8Array => (isEscaped ? Buffer.from(shown(bytes)) : bytes);
  if (form.long === true) parts.push(Buffer.from(longPrefix(entry)));
  parts.push(show(name));
  if (isForPeople && isDirectory(entry)) parts.push(SLASH);
  if (form.long === true && entry.target !== undefined) parts.push(ARROW, show(entry.target));
  out.dataBytes(Buffer.concat(parts), form.null === true ? NUL : NEWLINE);
}

/** `-rw-r--r--   1000   1000      123,456 2026-11-20 18:01:48 ` */
function longPrefix(entry: Entry): string {
  const size = isRegularFile(entry) || isSymlink(entry) ? entry.size : 0;
  const owner = `${String(entry.uid).padStart(6)} ${String(entry.gid).padStart(6)}`;
  const time = entry.isTimeUncertain === true ? UNKNOWN_TIME : localTime(entry.mtimeSec);
  return `${modeText(entry.mode)} ${owner} ${String(size).padStart(14)} ${time} `;
}

/** As wide as a time. */
const UNKNOWN_TIME = '?'.padStart(19);

const TYPE_LETTERS: Readonly<Record<number, string>> = {
  [S_IFSOCK]: 's',
  [S_IFLNK]: 'l',
  [S_IFREG]: '-',
  [S_IFBLK]: 'b',
  [S_IFDIR]: 'd',
  [S_IFCHR]: 'c',
  [S_IFIFO]: 'p',
};
const BIT_LETTERS = 'rwxrwxrwx';
/** Set-user, set-group and sticky bit: their position, and their letters. */
const SPECIAL_BITS = [
  [0o4000, 2, 's'],
  [0o2000, 5, 's'],
  [0o1000, 8, 't'],
] as const;

/** `drwxr-xr-x`, as `ls -l` prints it. */
function modeText(mode: number): string {
  const letters = Array.from(BIT_LETTERS, (letter, at) =>
    (mode & (0o400 / 2 ** at)) === 0 ? '-' : letter,
  );
  for (const [bit, at, letter] of SPECIAL_BITS) {
    if ((mode & bit) !== 0) letters[at] = letters[at] === 'x' ? letter : letter.toUpperCase();
  }
  return (TYPE_LETTERS[mode & S_IFMT] ?? '?') + letters.join('');
}

/** Local time, `2026-11-20 18:01:48`. A year beyond the range of dates is printed as seconds. */
function localTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${seconds}`.padEnd(19);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `{"type":"entry","path","kind","size"?,"mode","isTimeUncertain"?,"mtimeSec","mtimeNsec","uid","gid","target"?}` */
function entryEvent(entry: Entry): Readonly<Record<string, unknown>> {
  const { path, mode, mtimeSec, mtimeNsec, uid, gid, target } = entry;
  return {
    type: 'entry',
    ...jsonPath('path', path),
    kind: objectKindOf(entry),
    ...(isRegularFile(entry) ? { size: entry.size } : {}),
    mode: (mode & 0o7777).toString(8).padStart(4, '0'),
    ...(entry.isTimeUncertain === true ? { isTimeUncertain: true } : {}),
    ...{ mtimeSec, mtimeNsec, uid, gid },
    ...(target === undefined ? {} : jsonPath('target', target)),
  };
}
