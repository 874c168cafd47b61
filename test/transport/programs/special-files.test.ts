import { lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeSpecialFile } from '../../../src/transport/programs/special-files.ts';

describe('makeSpecialFile()', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'ecsync-special-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const names = ['plain', '-e', 'a b\nc', 's'.repeat(80)];
  it.each(names)('creates a pipe and a socket named %j, for their owner only', (name) => {
    const deep = path.join(folder, name);
    expect(makeSpecialFile(deep, { kind: 'socket', major: 0, minor: 0 })).toBe(true);
    expect(lstatSync(deep).isSocket()).toBe(true);
    expect(lstatSync(deep).mode & 0o777).toBe(0o600);
    rmSync(deep);
    expect(makeSpecialFile(deep, { kind: 'pipe', major: 0, minor: 0 })).toBe(true);
    expect(lstatSync(deep).isFIFO()).toBe(true);
  });

  it('reports failure', () => {
    const nowhere = path.join(folder, 'missing', 'name');
    expect(makeSpecialFile(nowhere, { kind: 'socket', major: 0, minor: 0 })).toBe(false);
    expect(makeSpecialFile(nowhere, { kind: 'pipe', major: 0, minor: 0 })).toBe(false);
  });
});
