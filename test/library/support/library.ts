/** The library as a program finds it, bundled once for the tests. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { inject } from 'vitest';

export type Library = typeof import('../../../src/index.ts');

export function importLibrary(): Promise<Library> {
  const file = path.resolve(inject('cliPath'), '../../index.js');
  return import(pathToFileURL(file).href) as Promise<Library>;
}

/** All that an iteration gives. */
export async function all<T>(things: AsyncIterable<T>): Promise<readonly T[]> {
  const got: T[] = [];
  for await (const thing of things) got.push(thing);
  return got;
}

/** What a promise is rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
