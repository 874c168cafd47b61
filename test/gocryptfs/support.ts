import { readFileSync } from 'node:fs';
import { EcsyncError } from '../../src/errors.ts';
import type { CipherBackend } from '../../src/gocryptfs/cipher/cipher-backend.ts';
import { NATIVE_BACKEND } from '../../src/gocryptfs/cipher/native-backend.ts';
import { PURE_BACKEND } from '../../src/gocryptfs/cipher/pure-backend.ts';

/** Both implementations of the primitives, for `describe.each`. */
export const BACKENDS: readonly (readonly [string, CipherBackend])[] = [
  ['native', NATIVE_BACKEND],
  ['pure', PURE_BACKEND],
];

/** A JSON file of `fixtures/gocryptfs/`. */
export function readVectors(name: string): unknown {
  return JSON.parse(
    readFileSync(new URL(`../../fixtures/gocryptfs/${name}`, import.meta.url), 'utf8'),
  );
}

/** The code of the error that `action` ends in. */
export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof EcsyncError) return error.code;
    throw error;
  }
  return 'no error';
}
