/** Edits the keychain setting of `config.toml`. */
import { parseConfig } from './config.ts';
import { assertEdit, editError } from './config-edit.ts';

const PASSWORD_HEADER = /^[ \t]*\[[ \t]*password[ \t]*\][ \t]*(?:#.*)?$/;
const KEYCHAIN_LINE = /^[ \t]*keychain[ \t]*=/;

/** The lines of a text, and the position of its `[password]` table. */
interface PasswordLines {
  readonly lines: string[];
  readonly newline: string;
  /** Line of its header; -1: there is no table. */
  readonly header: number;
  /** First line after the table. */
  readonly end: number;
}

function passwordLines(tomlText: string): PasswordLines {
  const lines = tomlText.split(/\r?\n/);
  const header = lines.findIndex((line) => PASSWORD_HEADER.test(line));
  const next = lines.findIndex((line, i) => i > header && /^\s*\[/.test(line));
  return {
    lines,
    newline: tomlText.includes('\r\n') ? '\r\n' : '\n',
    header,
    end: next === -1 ? lines.length : next,
  };
}

/**
 * Records that the keychain has the password; everything else in the text stays unchanged.
 *
 * @throws {UsageError} `config-edit` — the text cannot be edited safely, or names another source
 */
export function useKeychain(tomlText: string, shownFile: string): string {
  const before = parseConfig(tomlText, shownFile);
  if (before.password?.keychain === true) return tomlText;
  const { lines, newline, header, end } = passwordLines(tomlText);
  const ownLine = lines.findIndex((line, i) => i > header && i < end && KEYCHAIN_LINE.test(line));
  if (header === -1) {
    while (lines.at(-1) === '') lines.pop();
    lines.push('', '[password]', 'keychain = true', '');
  } else if (ownLine !== -1) lines[ownLine] = 'keychain = true';
  else lines.splice(header + 1, 0, 'keychain = true');
  const edited = lines.join(newline);
  assertEdit(edited, shownFile, { ...before, password: { ...before.password, keychain: true } });
  return edited;
}

/**
 * Removes that setting, and the table if nothing else is in it.
 *
 * @throws {UsageError} `config-edit`
 */
export function dropKeychain(tomlText: string, shownFile: string): string {
  const before = parseConfig(tomlText, shownFile);
  if (before.password?.keychain === undefined) return tomlText;
  const { lines, newline, header, end } = passwordLines(tomlText);
  const ownLine = lines.findIndex((line, i) => i > header && i < end && KEYCHAIN_LINE.test(line));
  if (header === -1 || ownLine === -1) throw editError(shownFile);
  const isAlone = lines
    .slice(header + 1, end)
    .every((line, i) => header + 1 + i === ownLine || line.trim() === '');
  if (isAlone) lines.splice(header, end - header);
  else lines.splice(ownLine, 1);
  const edited = lines.join(newline);
  const password = isAlone ? undefined : { ...before.password, keychain: undefined };
  assertEdit(edited, shownFile, { ...before, password });
  return edited;
}
