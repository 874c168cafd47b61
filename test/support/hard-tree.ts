import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratchFolder } from './stock-rsync.ts';

/** Bytes that do not repeat, the same for the same seed. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** A folder with every kind of entry and the names that break things. */
export function makeHardTree(): string {
  const root = scratchFolder();
  const at = (name: string): string => join(root, name);
  mkdirSync(at('a/b/c'), { recursive: true });
  mkdirSync(at('a-b'));
  mkdirSync(at('empty'));
  writeFileSync(at('a/x'), 'x');
  writeFileSync(at('a/b/c/deep'), 'deep');
  writeFileSync(at('a-b/f'), 'f');
  writeFileSync(at('a.c'), '');
  writeFileSync(at('+first'), 'sorts before the root at old protocols');
  writeFileSync(at('-dash'), '-');
  writeFileSync(at('new\nline'), 'n');
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x80, 0x41])]), 'raw');
  writeFileSync(at('n'.repeat(255)), 'long');
  mkdirSync(at(`${'d'.repeat(200)}/${'e'.repeat(200)}`), { recursive: true });
  writeFileSync(at(`${'d'.repeat(200)}/${'e'.repeat(200)}/${'f'.repeat(200)}`), 'deep and long');
  writeFileSync(at('big'), noise(300_000));
  symlinkSync('a/x', at('link'));
  symlinkSync('/nowhere/at all', at('dangling'));
  execFileSync('mkfifo', [at('fifo')]);
  execFileSync('mknod', [at('null'), 'c', '1', '3']);
  execFileSync('mknod', [at('zero'), 'c', '1', '300']);
  execFileSync('mknod', [at('block'), 'b', '259', '70000']);
  utimesSync(at('a/x'), 1_600_000_000, 1_600_000_000.25);
  chmodSync(at('a/x'), 0o640);
  return root;
}
