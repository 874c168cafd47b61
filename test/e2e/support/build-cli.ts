/**
 * Bundles the sources once for all tests of a project that run them as programs, away from `dist/`.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { rolldown } from 'rolldown';
import type { TestProject } from 'vitest/node';
import bundle from '../../../rolldown.config.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The bundled command line, as a user would run it. */
    cliPath: string;
  }
}

/** Modules that plain JavaScript tests import, at the paths of the compiler's output. */
const MODULES = { 'dist/index.js': 'src/index.ts', 'dist/vault/lock.js': 'src/vault/lock/lock.ts' };

export default async function setup(project: TestProject): Promise<() => void> {
  const root = path.resolve(import.meta.dirname, '../../..');
  const outDir = mkdtempSync(path.join(tmpdir(), 'ecsync-build-'));
  // The bundle finds its packages and its version like an installed package.
  symlinkSync(path.join(root, 'node_modules'), path.join(outDir, 'node_modules'));
  symlinkSync(path.join(root, 'package.json'), path.join(outDir, 'package.json'));
  const { output, input, ...options } = bundle;
  const built = await rolldown({
    ...options,
    cwd: root,
    input: { ...input, ...MODULES, 'warm-program': 'test/support/warm-program.ts' },
  });
  const dir = path.join(outDir, 'dist/bin');
  await built.write({ ...output, dir });
  await built.close();
  for (const name of Object.keys(MODULES)) {
    const file = path.join(outDir, name);
    mkdirSync(path.dirname(file), { recursive: true });
    const from = path.relative(path.dirname(file), path.join(dir, `${name}.js`));
    writeFileSync(file, `export * from './${from}';\n`);
  }
  execFileSync('chmod', ['-R', 'a+rX', outDir]);
  project.provide('cliPath', path.join(dir, 'ecsync.js'));
  return () => rmSync(outDir, { recursive: true, force: true });
}
