import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BugError } from '../../../src/errors.ts';
import { sweepLeftovers } from '../../../src/vault/files/leftovers.ts';
import {
  dropState,
  isStateDamaged,
  readState,
  readStateDigest,
  stateKey,
  writeState,
} from '../../../src/vault/memory/state.ts';

// State comes back byte for byte, or counts as absent: never something else.

let vaultDir: string;
beforeEach(() => {
  vaultDir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-state-'));
});
afterEach(() => rmSync(vaultDir, { recursive: true }));

describe('state', () => {
  const key = stateKey('user@host:path');
  const stored = (): string => path.join(vaultDir, 'index', key);

  it('is read as it was written, however often it is replaced', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (content) => {
        writeState(vaultDir, key, content);
        expect(Buffer.from(readState(vaultDir, key) ?? 'absent')).toEqual(Buffer.from(content));
      }),
      { numRuns: 20 },
    );
    expect(readdirSync(path.join(vaultDir, 'index'))).toEqual([key]);
  });

  it('is absent before it is written and after it is dropped', () => {
    expect(readState(vaultDir, key)).toBeUndefined();
    writeState(vaultDir, key, Buffer.from('x'));
    dropState(vaultDir, key);
    dropState(vaultDir, key);
    expect(readState(vaultDir, key)).toBeUndefined();
  });

  it('has a digest that can be read alone', () => {
    expect(readStateDigest(vaultDir, key)).toBeUndefined();
    for (const content of ['', 'content']) {
      writeState(vaultDir, key, Buffer.from(content));
      const digest = createHash('sha256').update(content).digest();
      expect(readStateDigest(vaultDir, key)).toEqual(digest);
    }
    const whole = readFileSync(stored());
    for (const damaged of [whole.subarray(0, 39), Buffer.concat([Buffer.from('x'), whole])]) {
      writeFileSync(stored(), damaged);
      expect(readStateDigest(vaultDir, key)).toBeUndefined();
    }
  });

  it('counts as absent when any single byte was changed, cut off or added', () => {
    writeState(vaultDir, key, Buffer.from('content'));
    const whole = readFileSync(stored());
    for (let i = 0; i < whole.length; i++) {
      const changed = Buffer.from(whole);
      changed[i] = (changed[i] ?? 0) ^ 1;
      writeFileSync(stored(), changed);
      expect(readState(vaultDir, key)).toBeUndefined();
      writeFileSync(stored(), whole.subarray(0, i));
      expect(readState(vaultDir, key)).toBeUndefined();
    }
    writeFileSync(stored(), Buffer.concat([whole, Buffer.from('x')]));
    expect(readState(vaultDir, key)).toBeUndefined();
  });

  it.each(['a folder', 'a link to nothing', 'a link to itself', 'a pipe'])(
    'counts as absent and is replaced when %s is in its place',
    (what) => {
      for (const isDurable of [false, true]) {
        writeState(vaultDir, key, Buffer.from('content'));
        rmSync(stored());
        if (what === 'a folder') mkdirSync(stored());
        else if (what === 'a pipe') execFileSync('mkfifo', [stored()]);
        else symlinkSync(what === 'a link to itself' ? key : 'nothing', stored());
        expect(readState(vaultDir, key)).toBeUndefined();
        expect(readStateDigest(vaultDir, key)).toBeUndefined();
        expect(isStateDamaged(vaultDir, key)).toBe(true);
        writeState(vaultDir, key, Buffer.from('new'), isDurable);
        expect(Buffer.from(readState(vaultDir, key) ?? [])).toEqual(Buffer.from('new'));
        expect(isStateDamaged(vaultDir, key)).toBe(false);
      }
      expect(readdirSync(path.join(vaultDir, 'index'))).toEqual([key]);
    },
  );

  it('does not replace a folder that is not empty, and leaves nothing behind', () => {
    mkdirSync(path.join(stored(), 'x'), { recursive: true });
    for (const isDurable of [false, true]) {
      expect(() => writeState(vaultDir, key, Buffer.from('new'), isDurable)).toThrow(
        'cannot write',
      );
      dropState(vaultDir, key);
    }
    expect(readdirSync(path.join(vaultDir, 'index'))).toEqual([key]);
  });

  it('is cleared of temporary files of a killed run', () => {
    writeState(vaultDir, key, Buffer.from('content'));
    const left = [`${key}.0123456789ab.tmp`, 'births.0123456789ab.tmp'];
    for (const name of [...left, 'notes.tmp'])
      writeFileSync(path.join(vaultDir, 'index', name), '');
    writeFileSync(path.join(vaultDir, 'gocryptfs.conf.0123456789ab.tmp'), '');
    sweepLeftovers(vaultDir);
    expect(readdirSync(path.join(vaultDir, 'index')).sort()).toEqual([key, 'notes.tmp'].sort());
    expect(readdirSync(vaultDir)).toEqual(['index']);
  });

  it.each(['', '..', 'a/b', 'A', 'x'.repeat(81)])('refuses the key %j', (wrong) => {
    expect(() => readState(vaultDir, wrong)).toThrow(BugError);
    expect(() => writeState(vaultDir, wrong, Buffer.alloc(0))).toThrow(BugError);
  });
});
