/** A copy that mutations change, and how they reach into its files. */
import fs from 'node:fs';
import path from 'node:path';
import type { Dice } from './copy-damage.ts';

/** A pushed copy, an earlier state of it, and where each plaintext path is stored. */
export interface TamperedCopy {
  readonly folder: string;
  /** The same copy as an earlier push left it. */
  readonly earlier: string;
  /** Bytes of a whole encrypted block. */
  readonly block: number;
  /** Where a plaintext path is in the copy; of deleted files too. */
  readonly stored: (plainPath: string) => string;
  readonly dice: Dice;
}

/** Changes the copy. */
export type Mutation = (copy: TamperedCopy) => void;

/** Bytes before the first block of a file. */
export const HEADER = 18;

export function at({ folder, stored }: TamperedCopy, plainPath: string): string {
  return path.join(folder, stored(plainPath));
}

export function before({ earlier, stored }: TamperedCopy, plainPath: string): string {
  return path.join(earlier, stored(plainPath));
}

/** Does something to a file, which then has the time it had: the server can set any. */
export function keepingTime(file: string, change: () => void): void {
  const { atimeMs, mtimeMs, mode } = fs.lstatSync(file);
  change();
  fs.chmodSync(file, mode & 0o7777);
  fs.utimesSync(file, atimeMs / 1000, mtimeMs / 1000);
}

export function edit(file: string, change: (bytes: Buffer) => Uint8Array | undefined): void {
  keepingTime(file, () => {
    const bytes = fs.readFileSync(file);
    fs.writeFileSync(file, change(bytes) ?? bytes);
  });
}

export function flip(bytes: Buffer, offset: number, dice: Dice): undefined {
  bytes.writeUInt8((bytes[offset] ?? 0) ^ (1 << dice.below(8)), offset);
}

export function blockOf(bytes: Buffer, number: number, size: number): Buffer {
  return bytes.subarray(HEADER + number * size, HEADER + (number + 1) * size);
}
