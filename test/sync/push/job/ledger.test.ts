import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Ledger } from '../../../../src/sync/push/job/ledger.ts';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';
import { S_IFREG } from '../../../../src/tree/entry.ts';

function file(name: string): PushEntry {
  const path = Buffer.from(name);
  const common = {
    path,
    mode: S_IFREG | 0o644,
    size: 1,
    mtimeSec: 0,
    mtimeNsec: 0,
    uid: 0,
    gid: 0,
  };
  return { ...common, plain: { ...common, dev: 1, ino: 1, nlink: 1, ctimeMs: 0, birthtimeMs: 0 } };
}

const nobody = { item: () => undefined, warning: () => undefined, progress: () => undefined };

it('a ledger names the largest uploads, those that came first before equal ones', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), fc.nat(5), (sizes, top) => {
      const ledger = new Ledger(nobody, top);
      sizes.forEach((bytes, n) => ledger.sent(file(`${n}`), bytes, 0));
      const ranked = sizes.map((bytes, n) => ({ name: `${n}`, bytes }));
      const expected = ranked.sort((a, b) => b.bytes - a.bytes).slice(0, top);
      const found = ledger.largest.map(({ path, bytes }) => ({
        name: Buffer.from(path).toString(),
        bytes,
      }));
      expect(found).toEqual(expected);
    }),
  );
});
