// The chain from a password to the keys: inverse pairs, every refusal by name, and stock tools on
// the other side of what createConf() writes.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { PasswordError, UsageError, VaultError, type EcsyncError } from '../../../src/errors.ts';
import { parseConf, serialiseConf } from '../../../src/gocryptfs/conf/config.ts';
import { flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import {
  changePassword,
  createConf,
  deriveKek,
  formatMasterkey,
  parseMasterkey,
  unlockMasterkey,
  unwrapMasterkey,
  wrapMasterkey,
} from '../../../src/gocryptfs/conf/keys.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import { readFixture } from '../../support/format-fixtures.ts';

const work = mkdtempSync(path.join(tmpdir(), 'ecsync-keys-'));
afterAll(() => rmSync(work, { recursive: true }));

const password = Buffer.from('pässwörd \t"\\');
const creator = 'ecsync test';
const key32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

async function failureOf(attempt: Promise<unknown>): Promise<EcsyncError> {
  return attempt.then(
    () => expect.unreachable('did not fail'),
    (error: unknown) => error as EcsyncError,
  );
}

function failureOfSync(attempt: () => unknown): EcsyncError {
  try {
    attempt();
  } catch (error) {
    return error as EcsyncError;
  }
  return expect.unreachable('did not fail');
}

describe('the wrapped master key', () => {
  test('is unwrapped by the same KEK, with and without HKDF', () => {
    fc.assert(
      fc.property(key32, key32, fc.boolean(), (masterkey, kek, hkdf) => {
        const wrapped = wrapMasterkey(masterkey, kek, { hkdf });
        expect(wrapped).toHaveLength(hkdf ? 64 : 60);
        expect(unwrapMasterkey(wrapped, kek, { hkdf })).toEqual(Buffer.from(masterkey));
      }),
    );
  });

  test('is refused as a wrong password when any bit of it or of the KEK differs', () => {
    const kek = Buffer.alloc(32, 5);
    for (const hkdf of [true, false]) {
      const wrapped = wrapMasterkey(Buffer.alloc(32, 9), kek, { hkdf });
      for (let at = 0; at < wrapped.length; at++) {
        const damaged = Buffer.from(wrapped);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
        const error = failureOfSync(() => unwrapMasterkey(damaged, kek, { hkdf }));
        expect(error).toBeInstanceOf(PasswordError);
        expect(error.code).toBe('wrong-password');
      }
      const other = Buffer.alloc(32, 6);
      expect(failureOfSync(() => unwrapMasterkey(wrapped, other, { hkdf })).code).toBe(
        'wrong-password',
      );
      expect(failureOfSync(() => unwrapMasterkey(wrapped, kek, { hkdf: !hkdf })).code).toBe(
        'wrong-password',
      );
    }
  });
});

describe('createConf()', () => {
  test('gives a conf that unlocks here and in stock, to the same master key', async () => {
    const { conf, masterkey } = await createConf({ password, creator, scryptLogN: 10 });
    expect([...conf.flags]).toEqual(flagsOfLayout({ layout: 'gcm' }));
    const bytes = serialiseConf(conf);
    expect(await unlockMasterkey(parseConf(bytes), password)).toEqual(masterkey);
    const file = path.join(work, 'created.conf');
    writeFileSync(file, bytes);
    const words = ['-dumpmasterkey', file];
    const dumped = execFileSync('gocryptfs-xray', words, { input: password }).toString();
    expect(dumped.trim()).toBe(masterkey.toString('hex'));
  });

  test('costs what stock costs by default, and draws a new key each time', async () => {
    const first = await createConf({ password, creator });
    expect(first.conf.scrypt).toMatchObject({ logN: 16, r: 8, p: 1 });
    const second = await createConf({ password, creator, scryptLogN: 10 });
    expect(second.masterkey).not.toEqual(first.masterkey);
    expect(second.conf.scrypt.salt).not.toEqual(first.conf.scrypt.salt);
  });

  test.each([9, 23, 16.5, NaN])('refuses a cost of 2^%d', async (scryptLogN) => {
    const error = await failureOf(createConf({ password, creator, scryptLogN }));
    expect(error).toBeInstanceOf(UsageError);
    expect(error.code).toBe('scryptn-out-of-range');
  });
});

test('changePassword() keeps the master key and invalidates the old password', async () => {
  const { conf, masterkey } = await createConf({ password, creator, scryptLogN: 10 });
  const newPassword = Buffer.from('other');
  const changed = await changePassword(conf, masterkey, { password: newPassword, scryptLogN: 11 });
  expect(changed.scrypt.logN).toBe(11);
  expect(await unlockMasterkey(changed, newPassword)).toEqual(masterkey);
  expect((await failureOf(unlockMasterkey(changed, password))).code).toBe('wrong-password');
});

test.each([
  ['empty-password', Buffer.alloc(0)],
  ['password-too-long', Buffer.alloc(2049, 'x')],
  ['password-newline', Buffer.from('two\nlines')],
])('a new password is refused as %s', async (code, refused) => {
  const error = await failureOf(createConf({ password: refused, creator, scryptLogN: 10 }));
  expect(error).toBeInstanceOf(PasswordError);
  expect(error.code).toBe(code);
});

test('scrypt works at the bounds of r and p', async () => {
  const salt = Buffer.alloc(32, 3);
  const kek = await deriveKek(password, { salt, logN: 10, r: 32, p: 16 });
  expect(kek).toHaveLength(32);
});

test('a filesystem that a token unlocks is refused with the reason', async () => {
  const conf = parseConf(readFixture('stock-gcm.conf'));
  const fido2 = { credentialID: Buffer.from('id'), hmacSalt: Buffer.from('s'), assertOptions: [] };
  const error = await failureOf(unlockMasterkey({ ...conf, fido2 }, password));
  expect(error).toBeInstanceOf(VaultError);
  expect(error.code).toBe('fido2-unsupported');
});

describe('the master key as text', () => {
  test('has eight groups of eight digits', () => {
    const shown = formatMasterkey(Buffer.from([...Array(32).keys()]));
    expect(shown).toBe('00010203-04050607-08090a0b-0c0d0e0f-10111213-14151617-18191a1b-1c1d1e1f');
  });

  test('is parsed back, even from two lines, in capitals, with spaces around it', () => {
    fc.assert(
      fc.property(key32, (masterkey) => {
        const shown = formatMasterkey(masterkey);
        const sheet = `  ${shown.slice(0, 36)}\r\n    ${shown.slice(36).toUpperCase()}\n`;
        expect(parseMasterkey(shown)).toEqual(Buffer.from(masterkey));
        expect(parseMasterkey(sheet)).toEqual(Buffer.from(masterkey));
      }),
    );
  });

  test.each(['', 'x'.repeat(64), '0'.repeat(63), '0'.repeat(65), '0'.repeat(62) + '0g'])(
    'is refused when it is "%s"',
    (text) => {
      const error = failureOfSync(() => parseMasterkey(text));
      expect(error).toBeInstanceOf(PasswordError);
      expect(error.code).toBe('masterkey-invalid');
      if (text !== '') expect(error.message).not.toContain(text);
    },
  );
});

describe('openLayout()', () => {
  test('refuses path-derived nonces for a cipher they would break', () => {
    const conf = { flags: new Set(flagsOfLayout({ layout: 'gcm' })), longNameMax: 255 };
    const error = failureOfSync(() => openLayout(conf, Buffer.alloc(32), 'reverse'));
    expect(error).toBeInstanceOf(VaultError);
    expect(error.code).toBe('layout-unsupported');
  });

  test('a master key of another length is a bug', () => {
    const conf = { flags: new Set(flagsOfLayout({ layout: 'gcm' })), longNameMax: 255 };
    expect(failureOfSync(() => openLayout(conf, Buffer.alloc(31))).code).toBe('invariant');
  });
});
