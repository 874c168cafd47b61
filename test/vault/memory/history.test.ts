import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import {
  appendHistory,
  beginHistory,
  readHistory,
  type Run,
} from '../../../src/vault/memory/history.ts';

// The history of a vault: what is written can be read, damage costs one line, and its size is
// limited.

let vaultDir: string;
beforeEach(() => {
  vaultDir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-history-'));
});
afterEach(() => {
  rmSync(vaultDir, { recursive: true, force: true });
});

const file = (): string => path.join(vaultDir, 'log/history.jsonl');

function run(changes: Partial<Run> = {}): Run {
  return {
    start: '2026-11-20T18:00:00.000Z',
    end: '2026-11-20T18:00:02.000Z',
    command: 'push',
    destination: '/copy',
    exitCode: 0,
    ...changes,
  };
}

describe('the history of a vault', () => {
  it('is empty before the first run', () => {
    expect(readHistory(vaultDir)).toEqual([]);
  });

  it.each(['a folder', 'a pipe'])(
    'is empty, and says what is wrong, with %s in its place',
    (what) => {
      mkdirSync(path.dirname(file()), { recursive: true });
      if (what === 'a folder') mkdirSync(file());
      else execFileSync('mkfifo', [file()]);
      expect(readHistory(vaultDir)).toEqual([]);
      expect(() => appendHistory(vaultDir, run())).toThrow(`cannot write ${file()}`);
    },
  );

  it('reports a killed run, but no run that still runs or has ended', () => {
    const begun = { start: new Date().toISOString(), command: 'push', destination: '/copy' };
    const id = beginHistory(vaultDir, begun);
    expect(readHistory(vaultDir)).toEqual([]); // this process runs
    const line = readFileSync(file(), 'utf8');
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const renamed = line.replace(/"host":"[^"]*"/, '"host":"then"');
    writeFileSync(file(), renamed.replace(/"pid":\d+/, `"pid":${pid}`));
    const [killed] = readHistory(vaultDir);
    expect(killed).toMatchObject({ ...begun, exitCode: 1, error: { code: 'did-not-end' } });
    expect(killed?.error?.message).toContain(`process ${pid} on then was killed`);
    appendHistory(vaultDir, run({ run: id, exitCode: 130 }));
    expect(readHistory(vaultDir)).toEqual([run({ run: id, exitCode: 130 })]);
  });

  it('counts an invisible run as over when another push to the same destination has ended', () => {
    const begun = { start: new Date().toISOString(), command: 'push', destination: '/copy' };
    beginHistory(vaultDir, begun);
    const line = readFileSync(file(), 'utf8');
    const unseen = line.replace(/"host":"[^"]*"/, '"host":"box"');
    writeFileSync(file(), unseen.replace(/"pidSpace":"[^"]*"/, '"pidSpace":"other pid:[1]"'));
    appendHistory(vaultDir, run({ exitCode: 11 }));
    expect(readHistory(vaultDir).map(({ exitCode }) => exitCode)).toEqual([11]);
    appendHistory(vaultDir, run());
    expect(readHistory(vaultDir).map(({ exitCode }) => exitCode)).toEqual([1, 11, 0]);
  });

  it('returns what was written, in order', () => {
    const runs = fc.array(
      fc.record(
        {
          start: fc.constant('2026-11-20T18:00:00.000Z'),
          end: fc.constant('2026-11-20T18:00:00.000Z'),
          command: fc.constantFrom('push', 'verify', 'restore', 'fsck'),
          destination: fc.string({ unit: 'binary' }),
          remote: fc.string(),
          part: fc.constant(true as const),
          exitCode: fc.integer({ min: 0, max: 255 }),
          error: fc.record({ code: fc.string(), message: fc.string({ unit: 'binary' }) }),
          figures: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.nat()),
        },
        { requiredKeys: ['start', 'end', 'command', 'destination', 'exitCode'] },
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(runs, (list) => {
        rmSync(path.join(vaultDir, 'log'), { recursive: true, force: true });
        for (const one of list) appendHistory(vaultDir, one);
        expect(readHistory(vaultDir)).toEqual(list);
      }),
      { numRuns: 30 },
    );
  });

  it('ignores invalid lines, and a line that was cut off does not spoil the next one', () => {
    appendHistory(vaultDir, run({ exitCode: 1 }));
    appendFileSync(file(), 'null\n{"start":"yesterday"}\n{"start":"2026-11-2');
    appendHistory(vaultDir, run({ exitCode: 2 }));
    expect(readHistory(vaultDir).map(({ exitCode }) => exitCode)).toEqual([1, 2]);
  });

  it('keeps the newest and stays small', () => {
    const message = 'x'.repeat(5000);
    for (let i = 0; i < 4000; i++) {
      appendHistory(vaultDir, run({ exitCode: i, error: { code: 'x', message } }));
    }
    const runs = readHistory(vaultDir);
    expect(runs.at(-1)?.exitCode).toBe(3999);
    expect(
      runs.every((one, i) => i === 0 || one.exitCode === (runs[i - 1]?.exitCode ?? 0) + 1),
    ).toBe(true);
    expect(runs.length).toBeGreaterThan(500);
    const bytes = statSync(file()).size + statSync(path.join(vaultDir, 'log/history.1.jsonl')).size;
    expect(bytes).toBeLessThan(2.2 * 1024 * 1024);
  });

  it('is private, and reports when it cannot be written', () => {
    appendHistory(vaultDir, run());
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    rmSync(path.join(vaultDir, 'log'), { recursive: true });
    writeFileSync(path.join(vaultDir, 'log'), '');
    let code = '';
    try {
      appendHistory(vaultDir, run());
    } catch (error) {
      code = error instanceof EcsyncError ? error.code : String(error);
    }
    expect(code).toBe('history-not-written');
    expect(readHistory(vaultDir)).toEqual([]);
  });
});
