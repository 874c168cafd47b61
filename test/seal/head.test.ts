// Goal: a head comes back as it was, and nothing that the key did not write is taken for one.
import { createHmac, createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IntegrityError } from '../../src/errors.ts';
import { readSealHead, sealHeadDigest, type SealHead, writeSealHead } from '../../src/seal/head.ts';

const KEY = createSecretKey(Buffer.alloc(32, 1));
const HEAD: SealHead = {
  vault: Buffer.alloc(16, 2),
  generation: 42,
  previous: Buffer.alloc(32, 3),
  writer: { id: Buffer.alloc(16, 4), name: 'büro “1”' },
  timeMs: Date.UTC(2026, 10, 30, 6, 30),
  tool: 'ecsync 0.1.0',
  layout: 'gcm',
  conf: Buffer.alloc(32, 5),
  list: Buffer.alloc(32, 6),
  objects: 1_000_000,
  omitted: ['2 files could not be read'],
  users: [
    [0, 'root'],
    [1000, 'anna'],
  ],
  groups: [[100, 'users']],
};

function refusal(bytes: Uint8Array, key = KEY): string {
  try {
    readSealHead(bytes, key);
    return 'taken';
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    return error.code;
  }
}

/** A first line that the key has authenticated, whatever it says. */
function signed(line: string): Buffer {
  const mac = createHmac('sha256', KEY).update(line).digest('hex');
  return Buffer.from(`${line}\nmac ${mac}\n`);
}

describe('a head', () => {
  it('comes back as it was', () => {
    expect(readSealHead(writeSealHead(HEAD, KEY), KEY)).toEqual(HEAD);
    const first = Object.fromEntries(
      Object.entries(HEAD).filter(([name]) => !['previous', 'conf', 'list'].includes(name)),
    ) as unknown as SealHead;
    expect(readSealHead(writeSealHead(first, KEY), KEY)).toEqual(first);
  });

  it('has one form: the digest by which the next one names it is of its first line', () => {
    const bytes = writeSealHead(HEAD, KEY);
    expect(writeSealHead(HEAD, KEY)).toEqual(bytes);
    expect(sealHeadDigest(bytes)).toEqual(sealHeadDigest(bytes.subarray(0, bytes.indexOf('\n'))));
  });

  it('of another key is forged', () => {
    const other = createSecretKey(Buffer.alloc(32, 9));
    expect(refusal(writeSealHead(HEAD, other))).toBe('seal-forged');
  });

  it('with any byte changed, added or cut off is forged', () => {
    const bytes = writeSealHead(HEAD, KEY);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      expect(refusal(changed), `byte ${at}`).toBe('seal-forged');
      expect(refusal(bytes.subarray(0, at)), `${at} bytes`).toBe('seal-forged');
    }
    expect(refusal(Buffer.concat([bytes, Buffer.from('\n')]))).toBe('seal-forged');
  });

  it.each([
    ['', 'no JSON'],
    ['[]', 'no object'],
    ['{"format":"ecsync seal 2"}', 'format'],
    [JSON.stringify({ ...JSON.parse(lineOf(HEAD)), generation: -1 }), 'generation'],
    [JSON.stringify({ ...JSON.parse(lineOf(HEAD)), vault: 'AA' }), 'vault'],
    [JSON.stringify({ ...JSON.parse(lineOf(HEAD)), list: 5 }), 'list'],
    [JSON.stringify({ ...JSON.parse(lineOf(HEAD)), time: 'soon' }), 'time'],
    [JSON.stringify({ ...JSON.parse(lineOf(HEAD)), users: [[0]] }), 'users'],
    [JSON.stringify({ ...JSON.parse(lineOf(HEAD)), omitted: [1] }), 'omitted'],
  ])('that the key has written, but no ecsync, is invalid: %s', (line) => {
    expect(refusal(signed(line))).toBe('seal-invalid');
  });

  it('of any JSON ends in a typed error', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(refusal(signed(text.replaceAll('\n', ' ')))).toBe('seal-invalid');
      }),
    );
  });
});

function lineOf(head: SealHead): string {
  return writeSealHead(head, KEY).toString().split('\n', 1)[0] ?? '';
}
