import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

/** A worker of the view, bundled from the sources as they are. */
export interface BuiltWorker {
  readonly script: URL;
  remove(): Promise<void>;
}

/** Node 20 runs no TypeScript, so tests that run from the sources bundle the worker first. */
export async function buildWorker(
  name: 'encryption-worker' | 'decryption-worker' = 'encryption-worker',
): Promise<BuiltWorker> {
  const folder = await mkdtemp(path.join(tmpdir(), 'ecsync-worker-'));
  const input = path.resolve(
    import.meta.dirname,
    `../../src/view/${name === 'encryption-worker' ? 'encrypt' : 'decrypt'}/${name}.ts`,
  );
  const bundle = await rolldown({ input, platform: 'node', logLevel: 'warn' });
  const file = path.join(folder, `${name}.mjs`);
  await bundle.write({ file, format: 'esm' });
  await bundle.close();
  return {
    script: pathToFileURL(file),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
