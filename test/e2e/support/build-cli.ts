import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Compiled `main.js` of the command line, as a user would run it. */
    cliPath: string;
  }
}

/** Compiles and bundles the sources once for all end-to-end tests, away from `dist/`. */
export default function setup(project: TestProject): () => void {
  const root = path.resolve(import.meta.dirname, '../../..');
  const outDir = mkdtempSync(path.join(tmpdir(), 'ecsync-build-'));
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', `${outDir}/dist`], {
    cwd: root,
    stdio: 'inherit',
  });
  // The compiled files find their packages and their version as an installed package would.
  symlinkSync(path.join(root, 'node_modules'), path.join(outDir, 'node_modules'));
  symlinkSync(path.join(root, 'package.json'), path.join(outDir, 'package.json'));
  const rolldown = path.join(root, 'node_modules/rolldown/bin/cli.mjs');
  const config = path.join(root, 'rolldown.config.js');
  execFileSync(process.execPath, [rolldown, '-c', config], {
    cwd: outDir,
    stdio: 'inherit',
  });
  execFileSync('chmod', ['-R', 'a+rX', outDir]);
  project.provide('cliPath', path.join(outDir, 'dist/bin/ecsync.js'));
  return () => rmSync(outDir, { recursive: true, force: true });
}
