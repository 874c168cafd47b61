/** The built sources, in a folder that a test may do with as it likes. */
import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';

/** @returns the folder; `dist/cli/main.js` is in it. The caller removes it. */
export function buildSources(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ecsync-built-'));
  const shared = path.resolve(path.dirname(inject('cliPath')), '../..');
  for (const name of ['node_modules', 'package.json']) {
    symlinkSync(path.join(shared, name), path.join(folder, name));
  }
  for (const name of ['cli', 'vault'])
    mkdirSync(path.join(folder, 'dist', name), { recursive: true });
  symlinkSync(inject('cliPath'), path.join(folder, 'dist/cli/main.js'));
  symlinkSync(path.join(shared, 'dist/vault/lock.js'), path.join(folder, 'dist/vault/lock.js'));
  return folder;
}
