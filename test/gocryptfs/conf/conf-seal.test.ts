// Whoever holds the copy can change the flags of a conf. The seal authenticates them; without one,
// only the layout of a plain `gocryptfs -init` is believed.
import { describe, expect, test } from 'vitest';
import { IntegrityError, UsageError, VaultError } from '../../../src/errors.ts';
import {
  assertNamesConfirmed,
  type NameModifiers,
} from '../../../src/gocryptfs/conf/conf-claims.ts';
import { assertSeal, sealConf } from '../../../src/gocryptfs/conf/conf-seal.ts';
import { parseConf, serialiseConf, type Conf } from '../../../src/gocryptfs/conf/config.ts';
import { flagsOfLayout, type FeatureFlag } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { changePassword, createConf, unlockMasterkey } from '../../../src/gocryptfs/conf/keys.ts';
import { derivations, hex, readFixture } from '../../support/format-fixtures.ts';

const stock = parseConf(readFixture('stock-gcm.conf'));
const masterkey = hex(derivations().masterkey);
const sealed = sealConf(stock, masterkey);
const password = Buffer.from('password');

function withFlags(conf: Conf, change: (flags: FeatureFlag[]) => readonly FeatureFlag[]): Conf {
  return { ...conf, flags: new Set(change([...conf.flags])) };
}
const without =
  (...gone: FeatureFlag[]) =>
  (flags: FeatureFlag[]): FeatureFlag[] =>
    flags.filter((flag) => !gone.includes(flag));

function codeOf(act: () => void): string {
  try {
    act();
  } catch (error) {
    if (error instanceof IntegrityError || error instanceof VaultError) return error.code;
    if (error instanceof UsageError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('the seal', () => {
  test.each(derivations().confSeals)('of $flags, $longNameMax', ({ flags, longNameMax, seal }) => {
    const conf = { ...stock, flags: new Set(flags), longNameMax };
    expect(Buffer.from(sealConf(conf, masterkey).seal ?? []).toString('hex')).toBe(seal);
  });

  test('is read back from the bytes of the conf', () => {
    expect(parseConf(serialiseConf(sealed))).toEqual(sealed);
  });

  test('is absent in confs of stock, which pass', () => {
    expect(codeOf(() => assertSeal(stock, masterkey))).toBe('no error');
  });

  test('depends neither on the order of flags nor on what a new password replaces', () => {
    const turned = withFlags(sealed, (flags) => ['FIDO2', ...flags.reverse()]);
    const other = { ...turned, encryptedKey: Buffer.alloc(64), creator: 'x' };
    expect(codeOf(() => assertSeal(other, masterkey))).toBe('no error');
  });

  test.each([
    ['a flag less', withFlags(sealed, without('LongNames'))],
    ['a flag more', withFlags(sealed, (flags) => [...flags, 'AESSIV'])],
    ['another limit', { ...sealed, longNameMax: 62 }],
    ['a bit of the seal', { ...sealed, seal: Buffer.from(sealed.seal ?? []).fill(1, 31) }],
  ])('does not fit with %s', (_, conf) => {
    expect(codeOf(() => assertSeal(conf, masterkey))).toBe('conf-seal-wrong');
  });

  test('does not fit another key', () => {
    expect(codeOf(() => assertSeal(sealed, Buffer.alloc(32)))).toBe('conf-seal-wrong');
  });

  test('has 32 bytes', () => {
    const short = Buffer.from(serialiseConf({ ...stock, seal: Buffer.alloc(31) }));
    expect(codeOf(() => void parseConf(short))).toBe('conf-seal-invalid');
  });

  test('is in every new conf, and the password opens no conf whose flags were changed', async () => {
    const settings = { password, scryptLogN: 10 };
    const made = await createConf({ ...settings, creator: 'test' });
    const old = { ...stock, scrypt: made.conf.scrypt };
    const changed = await changePassword(old, made.masterkey, settings);
    for (const conf of [made.conf, changed]) {
      expect(await unlockMasterkey(conf, password)).toEqual(made.masterkey);
      const plain = {
        ...conf,
        flags: new Set(flagsOfLayout({ layout: 'gcm', plaintextNames: true })),
      };
      await expect(unlockMasterkey(plain, password)).rejects.toMatchObject({
        code: 'conf-seal-wrong',
      });
    }
  });
});

describe('without a seal', () => {
  const limited: Conf = {
    ...withFlags(stock, (flags) => [...flags, 'LongNameMax']),
    longNameMax: 62,
  };
  const claims: readonly (readonly [string, Conf, NameModifiers])[] = [
    [
      'plaintext names',
      withFlags(stock, () => flagsOfLayout({ layout: 'gcm', plaintextNames: true })),
      { plaintextNames: true },
    ],
    ['no DirIV', withFlags(stock, without('DirIV')), { deterministicNames: true }],
    ['LongNameMax', limited, { longNameMax: 62 }],
    ['no LongNames', withFlags(stock, without('LongNames')), { noLongNames: true }],
  ];

  test.each(claims)('%s is believed only when the user says so', (_, conf, told) => {
    expect(codeOf(() => assertNamesConfirmed(conf, {}, 'x'))).toBe('layout-unproven');
    expect(codeOf(() => assertNamesConfirmed(conf, told, 'x'))).toBe('no error');
    expect(codeOf(() => assertNamesConfirmed(sealConf(conf, masterkey), {}, 'x'))).toBe('no error');
    expect(codeOf(() => assertNamesConfirmed(stock, told, 'x'))).toBe('layout-differs');
  });

  test("a limit that differs from the user's is not believed", () => {
    expect(codeOf(() => assertNamesConfirmed(limited, { longNameMax: 63 }, 'x'))).toBe(
      'layout-differs',
    );
  });

  test.each([
    ['gocryptfs -init', []],
    ['gocryptfs before 1.3', ['HKDF', 'Raw64']],
  ] as const)('the layout of %s is believed', (_, gone) => {
    const conf = withFlags(stock, without(...gone));
    expect(codeOf(() => assertNamesConfirmed(conf, {}, 'x'))).toBe('no error');
  });
});
