/** Goal: the limits allow for a server's work, and not for more. Method: known figures. */
import { expect, it } from 'vitest';
import {
  serverWorkMs,
  silenceAllowedMs,
  stagnationAllowedMs,
} from '../../../src/rsync/wire/patience.ts';

const HOUR_MS = 3_600_000;

it('a file of 1 TB may take hours to read, all files only with --checksum', () => {
  const entries = [{ size: 1e12 }, { size: 1e12 }, { size: 0 }];
  const oneMs = serverWorkMs(entries, false);
  expect(oneMs).toBeGreaterThan(20 * HOUR_MS);
  expect(serverWorkMs(entries, true)).toBeGreaterThan(1.9 * oneMs);
});

it('a million objects may be examined on a slow disk', () => {
  const entries = Array.from({ length: 1_000_000 }, () => ({ size: 0 }));
  expect(serverWorkMs(entries, false)).toBeGreaterThan(2 * HOUR_MS);
});

it('keep-alives keep a small run for five times the timeout, and without a limit if there is none', () => {
  expect(stagnationAllowedMs(4000, () => 500)).toBe(20_500);
  const unasked = (): number => expect.fail();
  expect(stagnationAllowedMs(Infinity, unasked)).toBe(Infinity);
});

it('the first byte must arrive within ten minutes even without other limits', () => {
  expect(silenceAllowedMs(Infinity, false)).toBe(600_000);
  expect(silenceAllowedMs(Infinity, true)).toBe(Infinity);
  expect(silenceAllowedMs(4000, false)).toBe(4000);
});
