// Only the conf says how to read the rest, and nothing in it is authenticated: every damage to it
// must end in an error with a code, never in another meaning.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VaultError } from '../../../src/errors.ts';
import { parseConf, serialiseConf, type Conf } from '../../../src/gocryptfs/conf/config.ts';
import { FEATURE_FLAGS, flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { readFixture, stockFilesystems } from '../../support/format-fixtures.ts';

type Json = Record<string, unknown>;

const stockBytes = readFixture('stock-gcm.conf');
const good = JSON.parse(stockBytes.toString()) as Json & { ScryptObject: Json };

function codeOf(bytes: Uint8Array): string {
  try {
    parseConf(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(VaultError);
    return (error as VaultError).code;
  }
  return 'no error';
}

function changed(changes: Json): Buffer {
  return Buffer.from(JSON.stringify({ ...good, ...changes }));
}
function scrypt(changes: Json): Buffer {
  return changed({ ScryptObject: { ...good.ScryptObject, ...changes } });
}
function flags(...names: unknown[]): Buffer {
  return changed({ FeatureFlags: names });
}
/** The stock text with one piece replaced. */
function edited(from: string, to: string): Buffer {
  expect(stockBytes.toString()).toContain(from);
  return Buffer.from(stockBytes.toString().replace(from, to));
}

const salt = (length: number) => Buffer.alloc(length, 7).toString('base64');
const sixty = Buffer.alloc(60, 7).toString('base64');

const attacks: readonly (readonly [string, string, Buffer])[] = [
  ['empty', 'conf-not-json', Buffer.alloc(0)],
  ['zeros', 'conf-not-json', Buffer.alloc(400)],
  ['cut in the middle', 'conf-not-json', stockBytes.subarray(0, 200)],
  ['cut before the last brace', 'conf-not-json', stockBytes.subarray(0, -2)],
  ['text after the brace', 'conf-not-json', Buffer.concat([stockBytes, Buffer.from('x')])],
  ['a second object after it', 'conf-not-json', Buffer.concat([stockBytes, stockBytes])],
  ['a NUL after it', 'conf-not-json', Buffer.concat([stockBytes, Buffer.alloc(1)])],
  ['a byte order mark', 'conf-bom', Buffer.concat([Buffer.from('efbbbf', 'hex'), stockBytes])],
  ['UTF-16', 'conf-not-utf8', Buffer.from('\ufeff' + stockBytes.toString(), 'utf16le')],
  ['not UTF-8', 'conf-not-utf8', Buffer.concat([stockBytes, Buffer.from([0xff])])],
  ['too large', 'conf-too-large', Buffer.concat([stockBytes, Buffer.alloc(65536, ' ')])],
  ['an array', 'conf-not-json', Buffer.from('[]')],
  ['null', 'conf-not-json', Buffer.from('null')],
  ['a string', 'conf-not-json', Buffer.from('"conf"')],
  [
    'nested too deep',
    'conf-version-unsupported',
    Buffer.from('{"a":' + '['.repeat(9) + ']'.repeat(9) + '}'),
  ],
  ['a field twice', 'conf-duplicate-field', edited('"Version": 2', '"Version": 3, "Version": 2')],
  ['in two cases', 'conf-duplicate-field', edited('"Version": 2', '"version": 3, "Version": 2')],
  ['twice by escape', 'conf-duplicate-field', edited('"N": 1024', '"\\u004e": 1024, "N": 1024')],
  [
    'twice by long s',
    'conf-duplicate-field',
    edited('"Version": 2', '"Ver\u017fion": 2, "Version": 2'),
  ],
  ['flags twice', 'conf-duplicate-field', edited('"Version"', '"FeatureFlags": [], "Version"')],
  ['no version', 'conf-version-unsupported', changed({ Version: undefined })],
  ['version 1', 'conf-version-unsupported', changed({ Version: 1 })],
  ['version 3', 'conf-version-unsupported', changed({ Version: 3 })],
  ['version as text', 'conf-version-unsupported', changed({ Version: '2' })],
  ['creator is a number', 'conf-field-invalid', changed({ Creator: 7 })],
  ['no key', 'conf-key-invalid', changed({ EncryptedKey: undefined })],
  ['key is a number', 'conf-key-invalid', changed({ EncryptedKey: 7 })],
  ['empty key', 'conf-key-invalid', changed({ EncryptedKey: '' })],
  ['key not base64', 'conf-key-invalid', changed({ EncryptedKey: '*'.repeat(88) })],
  ['key in base64url', 'conf-key-invalid', changed({ EncryptedKey: '_'.repeat(86) + '==' })],
  ['key without HKDF', 'conf-key-invalid', changed({ EncryptedKey: sixty })],
  [
    'HKDF removed',
    'conf-key-invalid',
    flags('GCMIV128', 'DirIV', 'EMENames', 'LongNames', 'Raw64'),
  ],
  ['no scrypt', 'conf-scrypt-invalid', changed({ ScryptObject: undefined })],
  ['scrypt is a list', 'conf-scrypt-invalid', changed({ ScryptObject: [] })],
  ['salt missing', 'conf-scrypt-invalid', scrypt({ Salt: undefined })],
  ['salt of 31 bytes', 'conf-scrypt-invalid', scrypt({ Salt: salt(31) })],
  ['salt of 2 KiB', 'conf-scrypt-invalid', scrypt({ Salt: salt(2048) })],
  ['N of 512', 'conf-scrypt-invalid', scrypt({ N: 512 })],
  ['N no power of two', 'conf-scrypt-invalid', scrypt({ N: 1025 })],
  ['N of 0', 'conf-scrypt-invalid', scrypt({ N: 0 })],
  ['N negative', 'conf-scrypt-invalid', scrypt({ N: -65536 })],
  ['N a fraction', 'conf-scrypt-invalid', scrypt({ N: 1024.5 })],
  ['N of 2^23', 'conf-scrypt-too-costly', scrypt({ N: 2 ** 23 })],
  ['N of 2^40', 'conf-scrypt-too-costly', scrypt({ N: 2 ** 40 })],
  ['N as text', 'conf-scrypt-invalid', scrypt({ N: '1024' })],
  ['N of 1e400', 'conf-scrypt-invalid', edited('1024', '1e400')],
  ['R of 7', 'conf-scrypt-invalid', scrypt({ R: 7 })],
  ['R of 33', 'conf-scrypt-too-costly', scrypt({ R: 33 })],
  ['P of 0', 'conf-scrypt-invalid', scrypt({ P: 0 })],
  ['P of 17', 'conf-scrypt-too-costly', scrypt({ P: 17 })],
  ['N and R together over 4 GiB', 'conf-scrypt-too-costly', scrypt({ N: 2 ** 22, R: 32 })],
  ['N and P together', 'conf-scrypt-too-costly', scrypt({ N: 2 ** 20, P: 16 })],
  ['KeyLen of 64', 'conf-scrypt-too-costly', scrypt({ KeyLen: 64 })],
  ['KeyLen of 16', 'conf-scrypt-invalid', scrypt({ KeyLen: 16 })],
  ['no flags', 'conf-flags-invalid', changed({ FeatureFlags: undefined })],
  ['flags null, as in 0.4', 'conf-too-old', changed({ FeatureFlags: null })],
  ['flags a string', 'conf-flags-invalid', changed({ FeatureFlags: 'HKDF' })],
  ['an empty flag list', 'conf-too-old', flags()],
  ['release 0.4', 'conf-too-old', flags('DirIV')],
  ['release 0.6', 'conf-too-old', flags('DirIV', 'EMENames')],
  ['a flag that is a number', 'conf-flags-invalid', flags(...flagsOfLayout({ layout: 'gcm' }), 7)],
  ['an unknown flag', 'conf-flag-unknown', flags(...flagsOfLayout({ layout: 'gcm' }), 'Quantum')],
  [
    'a flag in another case',
    'conf-flag-unknown',
    flags(...flagsOfLayout({ layout: 'gcm' }), 'aessiv'),
  ],
  [
    'a prototype name as flag',
    'conf-flag-unknown',
    flags(...flagsOfLayout({ layout: 'gcm' }), '__proto__'),
  ],
  ['no content cipher', 'conf-flags-conflict', flags('HKDF', 'DirIV', 'EMENames')],
  ['SIV without GCMIV128', 'conf-flags-conflict', flags('HKDF', 'AESSIV')],
  [
    'SIV and XChaCha',
    'conf-flags-conflict',
    flags('HKDF', 'GCMIV128', 'AESSIV', 'XChaCha20Poly1305'),
  ],
  ['XChaCha and GCMIV128', 'conf-flags-conflict', flags('HKDF', 'GCMIV128', 'XChaCha20Poly1305')],
  ['XChaCha without HKDF', 'conf-flags-conflict', flags('XChaCha20Poly1305')],
  ...(['EMENames', 'DirIV', 'LongNames', 'Raw64', 'LongNameMax'] as const).map(
    (flag) =>
      [
        `PlaintextNames and ${flag}`,
        'conf-flags-conflict',
        flags('HKDF', 'GCMIV128', 'PlaintextNames', flag),
      ] as const,
  ),
  ['LongNameMax without its flag', 'conf-longnamemax-invalid', changed({ LongNameMax: 62 })],
  [
    'its flag without LongNameMax',
    'conf-longnamemax-invalid',
    flags(...flagsOfLayout({ layout: 'gcm' }), 'LongNameMax'),
  ],
  ...[0, 256, -1, 62.5, '62'].map(
    (max) =>
      [
        `LongNameMax of ${JSON.stringify(max)}`,
        'conf-longnamemax-invalid',
        changed({
          FeatureFlags: [...flagsOfLayout({ layout: 'gcm' }), 'LongNameMax'],
          LongNameMax: max,
        }),
      ] as const,
  ),
  [
    'FIDO2 without parameters',
    'conf-fido2-invalid',
    flags(...flagsOfLayout({ layout: 'gcm' }), 'FIDO2'),
  ],
];

describe('parseConf() refuses with a code', () => {
  test('at least forty attacks', () => {
    expect(attacks.length).toBeGreaterThanOrEqual(40);
  });

  test.each(attacks)('%s: %s', (_, code, bytes) => {
    expect(codeOf(bytes)).toBe(code);
  });

  test.each([
    ['an unknown flag', flags(...flagsOfLayout({ layout: 'gcm' }), 'Quantum')],
    ['version 3', changed({ Version: 3 })],
  ])('%s may be of a newer release, and the hint says so', (_, bytes) => {
    expect(() => parseConf(bytes)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('newer gocryptfs') as unknown }),
    );
  });

  test('every truncated conf', () => {
    for (let length = 0; length < stockBytes.length - 1; length++) {
      expect(codeOf(stockBytes.subarray(0, length))).toBe('conf-not-json');
    }
  });

  test('or accepts any changed byte, but never fails otherwise', () => {
    for (let at = 0; at < stockBytes.length; at++) {
      for (const mask of [0x01, 0x20, 0x80, 0xff]) {
        const bytes = Buffer.from(stockBytes);
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        expect(codeOf(bytes)).toMatch(/^(no error|conf-[a-z0-9-]+)$/);
      }
    }
  });

  test('or accepts any JSON at all', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(codeOf(Buffer.from(json))).toMatch(/^conf-/);
      }),
    );
  });
});

describe('parseConf() accepts', () => {
  test.each(stockFilesystems())('the stock conf %s', (_, { conf }) => {
    const parsed = parseConf(Buffer.from(JSON.stringify(conf)));
    expect([...parsed.flags]).toEqual(conf.FeatureFlags);
    expect(parsed.scrypt).toMatchObject({ logN: 10, r: 8, p: 1 });
  });

  test('fields of other programs, names in any case, repeated flags, no creator', () => {
    const text = stockBytes
      .toString()
      .replace('"Creator": "gocryptfs 2.3"', '"VolumeName": "x", "__proto__": {"Version": 7}')
      .replace('"Version"', '"vErSiOn"')
      .replace('"HKDF",', '"HKDF", "HKDF",');
    const conf = parseConf(Buffer.from(text));
    expect(conf.creator).toBe('');
    expect([...conf.flags]).toEqual(flagsOfLayout({ layout: 'gcm' }));
  });

  test('a FIDO2 conf', () => {
    const fido2 = { CredentialID: 'AAEC', HMACSalt: 'AwQF', AssertOptions: ['up'] };
    const bytes = changed({
      FeatureFlags: [...flagsOfLayout({ layout: 'gcm' }), 'FIDO2'],
      FIDO2: fido2,
    });
    expect(parseConf(bytes).fido2?.assertOptions).toEqual(['up']);
  });

  test.each([1, 40, 61, 62, 255])('LongNameMax of %i, as stock does', (max) => {
    const flags = [...flagsOfLayout({ layout: 'gcm' }), 'LongNameMax'];
    const conf = parseConf(changed({ FeatureFlags: flags, LongNameMax: max }));
    expect(conf.longNameMax).toBe(max);
  });

  test('a conf from before HKDF', () => {
    const old = {
      FeatureFlags: ['GCMIV128', 'DirIV', 'EMENames', 'LongNames'],
      EncryptedKey: sixty,
    };
    expect(parseConf(changed(old)).encryptedKey).toHaveLength(60);
  });
});

test('serialiseConf() writes what stock wrote, byte for byte', () => {
  expect(serialiseConf(parseConf(stockBytes)).toString()).toBe(stockBytes.toString());
});

test('serialiseConf() and parseConf() are inverse', () => {
  const flagSets = [
    flagsOfLayout({ layout: 'gcm' }),
    [...flagsOfLayout({ layout: 'gcm' }), 'LongNameMax', 'FIDO2'],
    ['HKDF', 'GCMIV128', 'PlaintextNames'],
    FEATURE_FLAGS.filter((flag) => !['PlaintextNames', 'GCMIV128', 'AESSIV'].includes(flag)),
  ] as const;
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const anyConf = fc.record({
    creator: fc.string({ unit: 'binary' }),
    encryptedKey: bytes(64),
    salt: bytes(32),
    logN: fc.integer({ min: 10, max: 16 }), // with any r and p within the bounds
    r: fc.integer({ min: 8, max: 32 }),
    p: fc.integer({ min: 1, max: 16 }),
    flags: fc.constantFrom(...flagSets),
    longNameMax: fc.integer({ min: 62, max: 255 }),
    seal: fc.option(bytes(32), { nil: undefined }),
  });
  fc.assert(
    fc.property(
      anyConf,
      ({ creator, encryptedKey, salt: anySalt, logN, r, p, flags: names, longNameMax, seal }) => {
        const set = new Set(names);
        const conf: Conf = {
          creator: Buffer.from(creator).toString(),
          encryptedKey: Buffer.from(encryptedKey),
          scrypt: { salt: Buffer.from(anySalt), logN, r, p },
          flags: set,
          longNameMax: set.has('LongNameMax') ? longNameMax : 255,
          ...(set.has('FIDO2')
            ? {
                fido2: {
                  credentialID: Buffer.from([1]),
                  hmacSalt: Buffer.from([2]),
                  assertOptions: ['up'],
                },
              }
            : {}),
          ...(seal !== undefined && { seal: Buffer.from(seal) }),
        };
        expect(parseConf(serialiseConf(conf))).toEqual(conf);
      },
    ),
  );
});
