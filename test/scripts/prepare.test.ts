import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

// What `npm run demo` does first: the programs it starts are others here, which talk a lot.

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-prepare-'));
  for (const folder of ['scripts', 'programs', 'dist/bin']) {
    mkdirSync(path.join(dir, folder), { recursive: true });
  }
  copyFileSync('scripts/prepare.sh', path.join(dir, 'scripts/prepare.sh'));
  writeFileSync(path.join(dir, 'package-lock.json'), '');
  writeFileSync(path.join(dir, 'dist/bin/ecsync.js'), '');
  for (const name of ['npm', 'npx', 'node']) program(name, 'exit 0');
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function program(name: string, end: string): void {
  const file = path.join(dir, 'programs', name);
  writeFileSync(file, `#!/bin/sh\necho "${name} $*"; echo "notice of ${name}" >&2\n${end}\n`);
  chmodSync(file, 0o755);
}

function prepare(): { readonly code: number | null; readonly out: string; readonly err: string } {
  const env = { PATH: `${path.join(dir, 'programs')}:${process.env['PATH'] ?? ''}` };
  const { status, stdout, stderr } = spawnSync('bash', [path.join(dir, 'scripts/prepare.sh')], {
    env,
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
}

it('says nothing of what succeeds but that packages are installed', () => {
  const installing = 'Installing the npm packages, which is done once.\n';
  expect(prepare()).toEqual({ code: 0, out: '', err: installing });
});

it('shows everything that a program printed which failed, and ends as it did', () => {
  program('npx', 'exit 3');
  const { code, out, err } = prepare();
  expect({ code, out }).toEqual({ code: 3, out: '' });
  expect(err).toMatch(
    /failed: npx --no-install tsc [^\n]*\nnpx --no-install tsc [^\n]*\nnotice of npx\n$/,
  );
});
