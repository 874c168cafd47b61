// Goal: a push into a local folder writes what the copy needs to the disk before anything is
// deleted. Method: the order of its system calls, by strace.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, inject, it } from 'vitest';
import { straceWords } from '../../campaign/system-calls.ts';
import { ecsync, initVault, makeBench } from './support/cli.ts';
import { runProgram } from './support/run-cli.ts';

const CALLS = ['fsync', 'fdatasync', 'syncfs', 'link', 'rename', 'unlink', 'rmdir'];

/** Objects of the copy by their paths in it. */
function listing(copy: string): Set<string> {
  return new Set(readdirSync(copy, { recursive: true, encoding: 'utf8' }));
}

it('new content, its folder and the folder’s key file are on the disk before old content is deleted', async () => {
  const bench = await makeBench();
  try {
    const write = (name: string): void => {
      mkdirSync(path.dirname(path.join(bench.source, name)), { recursive: true });
      writeFileSync(path.join(bench.source, name), `content of ${name}`);
    };
    for (const name of ['stays', 'gone/file']) write(name);
    await initVault(bench);
    const push = ['push', '-C', bench.source, '--passfile', bench.passfile, '--delete', bench.copy];
    expect(await ecsync(push)).toMatchObject({ code: 0 });
    const before = listing(bench.copy);
    rmSync(path.join(bench.source, 'gone'), { recursive: true });
    write('new/file');

    const log = path.join(bench.dir, 'calls');
    const [strace, ...traced] = straceWords(log, CALLS);
    const run = await runProgram(strace, [...traced, process.execPath, inject('cliPath'), ...push]);
    expect(run).toMatchObject({ code: 0 });
    const after = listing(bench.copy);
    const gone = [...before].filter((name) => !after.has(name)).map((name) => path.basename(name));
    const made = [...after].filter((name) => !before.has(name));
    expect([gone.length, made.length]).toEqual([3, 3]);

    const calls = readFileSync(log, 'utf8').split('\n');
    const firstRemoval = calls.findIndex(
      (call) => /\b(?:unlink|rmdir)\(/.test(call) && gone.some((name) => call.includes(`${name}"`)),
    );
    expect(firstRemoval).toBeGreaterThan(0);
    const settled = calls.slice(0, firstRemoval).filter((call) => call.includes('fsync('));
    for (const name of [...made.map((one) => path.basename(one)), path.basename(bench.copy)]) {
      expect(settled.join('\n'), name).toContain(`/${name}>`);
    }
    // The folder includes its content, since its last entry was made before the folder was synced.
    const [folder = ''] = made.filter((name) => !name.includes('/'));
    const [file = ''] = made.filter((name) => name !== folder && !name.endsWith('diriv'));
    const named = calls.findIndex(
      (call) => call.includes('rename(') && call.includes(`/${path.basename(file)}"`),
    );
    const written = calls.findLastIndex(
      (call) => call.includes('fsync(') && call.includes(`/${folder}>`),
    );
    expect(named).toBeGreaterThan(0);
    expect(written).toBeGreaterThan(named);
    expect(written).toBeLessThan(firstRemoval);
  } finally {
    await bench.remove();
  }
});
