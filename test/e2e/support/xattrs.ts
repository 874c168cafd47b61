import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Gives an object an extended attribute; the value as bytes. */
export function setXattr(path: string, name: string, value: Uint8Array | string): void {
  const hex = `0x${Buffer.from(value).toString('hex')}`;
  // An argument may have at most 128 KiB, so long values are passed in a file.
  const restore = `# file: ${quote(path)}\n${quote(name)}=${hex}\n\n`;
  execFileSync('setfattr', ['-h', '--restore=-'], { input: Buffer.from(restore, 'latin1') });
}

function quote(text: string): string {
  const escape = (found: string): string =>
    `\\${(found.codePointAt(0) ?? 0).toString(8).padStart(3, '0')}`;
  return Buffer.from(text)
    .toString('latin1')
    .replace(/[\\\n\r=]/g, escape);
}

export function removeXattr(path: string, name: string): void {
  execFileSync('setfattr', ['-h', '-x', name, path]);
}

/**
 * `path name=hex` of every attribute in a folder except access control lists, sorted, without
 * `.ecsync`.
 */
export function xattrsOf(folder: string): string[] {
  const words = ['-R', '-P', '-h', '-d', '-m', '^(user|trusted|security)\\.', '-e', 'hex', '.'];
  const maxBuffer = 64 * 1024 * 1024;
  const output = execFileSync('getfattr', words, { cwd: folder, encoding: 'latin1', maxBuffer });
  const found: string[] = [];
  for (const object of output.split('\n\n')) {
    const [file = '', ...lines] = object.split('\n').filter((line) => line !== '');
    const path = file.replace('# file: ', '');
    if (path === '' || path.startsWith('.ecsync')) continue;
    for (const line of lines) found.push(`${path} ${line}`);
  }
  return found.sort();
}

/** Files and folders with attributes of every kind that ext4 holds. */
export function makeXattrTree(source: string): void {
  const inSource = (...parts: readonly string[]): string => join(source, ...parts);
  mkdirSync(inSource('folder', 'sub'), { recursive: true });
  writeFileSync(inSource('plain'), 'no attributes');
  writeFileSync(inSource('file'), 'content');
  writeFileSync(inSource('read-only'), 'x', { mode: 0o444 });
  writeFileSync(inSource('folder', 'a\nb: c\\ä='), 'odd name');
  linkSync(inSource('file'), inSource('folder', 'link'));
  symlinkSync('file', inSource('symlink'));
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  setXattr(source, 'user.root', 'of the root');
  setXattr(inSource('file'), 'user.binary', bytes);
  setXattr(inSource('file'), 'user.empty', '');
  setXattr(inSource('file'), 'user.a\nb=c\\d', 'odd');
  setXattr(inSource('file'), 'trusted.t', 'of root');
  setXattr(inSource('file'), 'security.s', 'of a module');
  setXattr(inSource('read-only'), 'user.v', Buffer.alloc(3000, 7));
  setXattr(inSource('folder'), 'user.folder', 'f');
  setXattr(inSource('folder', 'sub'), 'user.only-empty', '');
  setXattr(inSource('folder', 'a\nb: c\\ä='), 'user.odd', 'path');
}
