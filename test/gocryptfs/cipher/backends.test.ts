// Both implementations of every primitive give the published answers, and otherwise the same bytes;
// the ciphers on top of them refuse all changes.
import { createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ContentCipher } from '../../../src/gocryptfs/cipher/aead.ts';
import { AesSiv } from '../../../src/gocryptfs/cipher/aes-siv.ts';
import type { CipherBackend } from '../../../src/gocryptfs/cipher/cipher-backend.ts';
import { Cmac } from '../../../src/gocryptfs/cipher/cmac.ts';
import { lackingPrimitives, nativeExcept } from '../../../src/gocryptfs/cipher/default-backend.ts';
import { Eme } from '../../../src/gocryptfs/names/eme.ts';
import { flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { GcmCipher } from '../../../src/gocryptfs/cipher/gcm-cipher.ts';
import { hchacha20 } from '../../../src/gocryptfs/cipher/hchacha.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import { NATIVE_BACKEND } from '../../../src/gocryptfs/cipher/native-backend.ts';
import { PURE_BACKEND } from '../../../src/gocryptfs/cipher/pure-backend.ts';
import { SivCipher } from '../../../src/gocryptfs/cipher/siv-cipher.ts';
import { XChaChaCipher } from '../../../src/gocryptfs/cipher/xchacha-cipher.ts';
import { formatTables, hex } from '../../support/format-fixtures.ts';
import { BACKENDS, codeOf, readVectors } from '../support.ts';

type Answer<Field extends string> = Readonly<Record<'source' | Field, string>>;

interface RfcVectors {
  readonly cmac: readonly Answer<'key' | 'message' | 'mac'>[];
  readonly siv: readonly (Answer<'key' | 'plain' | 'sealed'> & {
    readonly associated: readonly string[];
  })[];
  readonly hchacha: readonly Answer<'key' | 'nonce' | 'subKey'>[];
  readonly hkdf: readonly (Answer<'inputKey' | 'info' | 'output'> & { readonly salt?: string })[];
  readonly hmac: readonly Answer<'key' | 'message' | 'mac'>[];
  readonly scrypt: readonly (Answer<'password' | 'salt' | 'key'> &
    Readonly<Record<'logN' | 'r' | 'p', number>>)[];
}

const published = readVectors('rfc-vectors.json') as RfcVectors;

const secret = (bytes: Uint8Array) => createSecretKey(bytes);
const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const aesKey = fc.constantFrom(16, 24, 32).chain(bytesOf);
const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 9000 }));
const blocks = fc.integer({ min: 1, max: 20 }).chain((count) => bytesOf(16 * count));

/** A view that starts at an odd address, as parts of larger buffers do. */
function unaligned(bytes: Uint8Array): Uint8Array {
  const room = new Uint8Array(bytes.length + 1);
  room.set(bytes, 1);
  return room.subarray(1);
}

describe.each(BACKENDS)('the %s backend', (_, backend) => {
  test.each(published.cmac)('gives the CMAC of $source', ({ key, message, mac }) => {
    const cmac = new Cmac(secret(hex(key)), backend);
    for (let i = 0; i < 2; i++) {
      expect(Buffer.from(cmac.mac(hex(message))).toString('hex')).toBe(mac);
    }
  });

  test.each(published.siv)('gives the AES-SIV of $source', (answer) => {
    const siv = new AesSiv(secret(hex(answer.key)), backend);
    const associated = answer.associated.map(hex);
    const sealed = Buffer.alloc(hex(answer.plain).length + 16);
    siv.seal(hex(answer.plain), associated, sealed);
    expect(sealed.toString('hex')).toBe(answer.sealed);
    expect(siv.open(hex(answer.sealed), associated)?.toString('hex')).toBe(answer.plain);
  });

  test.each(published.hkdf)('gives the HKDF of $source', ({ inputKey, salt, info, output }) => {
    const input = { info: hex(info), length: output.length / 2 };
    const all = salt === undefined ? input : { ...input, salt: hex(salt) };
    expect(backend.hkdfSha256(hex(inputKey), all).toString('hex')).toBe(output);
  });

  test.each(published.hmac)('gives the HMAC of $source', ({ key, message, mac }) => {
    const bytes = hex(message);
    const digest = backend.hmacSha256(secret(hex(key)))(bytes.subarray(0, 3), bytes.subarray(3));
    expect(digest.toString('hex')).toBe(mac);
  });

  test.each(published.scrypt)('gives the scrypt of $source, N = 2^$logN', async (answer) => {
    const cost = { ...answer, salt: Buffer.from(answer.salt) };
    const key = await backend.scrypt(Buffer.from(answer.password), cost);
    expect(key.toString('hex')).toBe(answer.key);
  });

  test.each(formatTables().eme)('gives the EME of $plain', ({ key, tweak, plain, cipher }) => {
    const eme = new Eme(secret(hex(key)), backend);
    expect(eme.encrypt(hex(tweak), hex(plain)).toString('hex')).toBe(cipher);
    expect(eme.decrypt(hex(tweak), hex(cipher)).toString('hex')).toBe(plain);
  });
});

test.each(published.hchacha)('hchacha20() gives the sub-key of $source', (answer) => {
  const subKey = hchacha20(hex(answer.key), hex(answer.nonce));
  expect(subKey.toString('hex')).toBe(answer.subKey);
});

/** Each primitive's output for one input, as bytes to compare. */
function compare<Input>(
  inputs: fc.Arbitrary<Input>,
  run: (backend: CipherBackend, input: Input) => Uint8Array,
): void {
  fc.assert(
    fc.property(inputs, (input) => {
      const [native, pure] = [NATIVE_BACKEND, PURE_BACKEND].map((backend) => run(backend, input));
      expect(Buffer.from(pure ?? []).toString('hex')).toBe(
        Buffer.from(native ?? []).toString('hex'),
      );
    }),
  );
}

describe('native and pure are the same', () => {
  test('AES-ECB, both ways', () => {
    compare(fc.tuple(aesKey, blocks), (backend, [key, input]) => {
      const ecb = backend.aesEcb(secret(key));
      expect(ecb.decrypt(ecb.encrypt(unaligned(input)))).toEqual(Buffer.from(input));
      return Buffer.concat([ecb.encrypt(input), ecb.decrypt(input)]);
    });
  });

  test('CBC-MAC, one message after the other', () => {
    compare(fc.tuple(aesKey, fc.array(blocks, { maxLength: 4 })), (backend, [key, messages]) => {
      const mac = backend.cbcMac(secret(key));
      return Buffer.concat(messages.map((message) => mac(unaligned(message))));
    });
  });

  test('AES-CTR', () => {
    const inputs = fc.tuple(aesKey, bytesOf(16), fc.uint8Array({ minLength: 1, maxLength: 5000 }));
    compare(inputs, (backend, [key, counter, bytes]) =>
      backend.aesCtr(secret(key))(unaligned(counter), unaligned(bytes)),
    );
  });

  test('AES-GCM with nonces of 12 and 16 bytes', () => {
    const nonces = fc.constantFrom(12, 16).chain(bytesOf);
    const inputs = fc.tuple(aesKey, nonces, anyBytes, anyBytes);
    compare(inputs, (backend, [key, nonce, plain, associated]) => {
      const sealed = Buffer.alloc(plain.length + 16);
      backend.aesGcm(secret(key)).seal({ plain: unaligned(plain), nonce, associated }, sealed);
      return sealed;
    });
  });

  test('XChaCha20-Poly1305', () => {
    const inputs = fc.tuple(bytesOf(32), bytesOf(24), anyBytes, anyBytes);
    compare(inputs, (backend, [key, nonce, plain, associated]) => {
      const sealed = Buffer.alloc(plain.length + 16);
      const parts = { plain: unaligned(plain), nonce: unaligned(nonce), associated };
      backend.xchacha20Poly1305(secret(key)).seal(parts, sealed);
      return sealed;
    });
  });

  test('CMAC', () => {
    compare(fc.tuple(aesKey, anyBytes), (backend, [key, message]) =>
      new Cmac(secret(key), backend).mac(unaligned(message)),
    );
  });

  test('AES-SIV', () => {
    const keys = fc.constantFrom(32, 48, 64).chain(bytesOf);
    const inputs = fc.tuple(keys, fc.array(anyBytes, { maxLength: 3 }), anyBytes);
    compare(inputs, (backend, [key, associated, plain]) => {
      const sealed = Buffer.alloc(plain.length + 16);
      new AesSiv(secret(key), backend).seal(unaligned(plain), associated, sealed);
      return sealed;
    });
  });

  test('EME', () => {
    const names = fc.integer({ min: 1, max: 16 }).chain((count) => bytesOf(16 * count));
    compare(fc.tuple(bytesOf(32), bytesOf(16), names), (backend, [key, tweak, plain]) => {
      const eme = new Eme(secret(key), backend);
      return Buffer.concat([eme.encrypt(tweak, plain), eme.decrypt(tweak, plain)]);
    });
  });

  test('HMAC-SHA-256', () => {
    const keys = fc.uint8Array({ minLength: 1, maxLength: 200 });
    compare(fc.tuple(keys, fc.array(anyBytes, { maxLength: 4 })), (backend, [key, parts]) =>
      backend.hmacSha256(secret(key))(...parts),
    );
  });

  test('HKDF-SHA-256', () => {
    const short = fc.uint8Array({ maxLength: 100 });
    const inputs = fc.tuple(short, short, fc.integer({ min: 1, max: 200 }), short);
    compare(inputs, (backend, [inputKey, info, length, salt]) =>
      backend.hkdfSha256(inputKey, salt.length > 0 ? { info, length, salt } : { info, length }),
    );
  });

  test('scrypt', async () => {
    const cost = fc.record({
      salt: fc.uint8Array({ maxLength: 64 }),
      logN: fc.integer({ min: 1, max: 6 }),
      r: fc.integer({ min: 1, max: 9 }),
      p: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), cost, async (password, parameters) => {
        const native = await NATIVE_BACKEND.scrypt(password, parameters);
        expect(await PURE_BACKEND.scrypt(password, parameters)).toEqual(native);
      }),
    );
  });
});

type CipherClass = new (key: ReturnType<typeof secret>, backend?: CipherBackend) => ContentCipher;

const CIPHERS: readonly (readonly [string, CipherClass, number])[] = [
  ['GcmCipher', GcmCipher, 32],
  ['SivCipher', SivCipher, 64],
  ['XChaChaCipher', XChaChaCipher, 32],
];

describe.each(CIPHERS)('%s', (_, Cipher, keyLength) => {
  describe.each(BACKENDS)('on the %s backend', (__, backend) => {
    const cipher = new Cipher(secret(Buffer.alloc(keyLength, 5)), backend);
    const nonce = Buffer.alloc(cipher.nonceLength, 9);

    function seal(plain: Uint8Array, associated: Uint8Array): Buffer {
      const sealed = Buffer.alloc(plain.length + cipher.overhead);
      cipher.seal({ plain, nonce, associated }, sealed);
      return sealed;
    }

    test('open() is the inverse of seal()', () => {
      fc.assert(
        fc.property(anyBytes, anyBytes, (plain, associated) => {
          const sealed = seal(plain, associated);
          expect(sealed.subarray(0, nonce.length)).toEqual(nonce);
          expect(cipher.open(unaligned(sealed), associated)).toEqual(Buffer.from(plain));
        }),
      );
    });

    test('one flipped bit anywhere is refused', () => {
      const plain = Buffer.from('a message of two blocks and a bit more');
      const associated = Buffer.alloc(24, 3);
      const sealed = seal(plain, associated);
      for (let bit = 0; bit < 8 * sealed.length; bit++) {
        const changed = Buffer.from(sealed);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(codeOf(() => cipher.open(changed, associated))).toBe('tag-mismatch');
      }
      for (let bit = 0; bit < 8 * associated.length; bit++) {
        const changed = Buffer.from(associated);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(codeOf(() => cipher.open(sealed, changed))).toBe('tag-mismatch');
      }
    });

    test('every cut is refused', () => {
      const sealed = seal(Buffer.from('cut me'), Buffer.alloc(8));
      for (let length = 0; length < sealed.length; length++) {
        const cut = sealed.subarray(0, length);
        expect(codeOf(() => cipher.open(cut, Buffer.alloc(8)))).toBe('tag-mismatch');
      }
    });

    test('a nonce of another length is a bug', () => {
      for (const length of [0, nonce.length - 1, nonce.length + 1]) {
        const parts = { plain: nonce, nonce: Buffer.alloc(length), associated: nonce };
        expect(codeOf(() => cipher.seal(parts, Buffer.alloc(100)))).toBe('invariant');
      }
    });
  });

  test('both backends write the same bytes and read each other', () => {
    fc.assert(
      fc.property(bytesOf(keyLength), anyBytes, (key, plain) => {
        const [native, pure] = BACKENDS.map(([, backend]) => new Cipher(secret(key), backend));
        if (native === undefined || pure === undefined) throw new Error('two backends');
        const nonce = Buffer.alloc(native.nonceLength, 1);
        const [a, b] = [native, pure].map((cipher) => {
          const sealed = Buffer.alloc(plain.length + cipher.overhead);
          cipher.seal({ plain, nonce, associated: key }, sealed);
          return sealed;
        });
        expect(b).toEqual(a);
        expect(pure.open(a ?? nonce, key)).toEqual(native.open(b ?? nonce, key));
      }),
    );
  });
});

describe('the default backend', () => {
  test('uses node:crypto for exactly what it supports', async () => {
    const key = secret(Buffer.alloc(32));
    const parts = { plain: Buffer.alloc(1), nonce: Buffer.alloc(24), associated: Buffer.alloc(0) };
    const attempts = {
      aesEcb: () => NATIVE_BACKEND.aesEcb(key).encrypt(Buffer.alloc(16)),
      cbcMac: () => NATIVE_BACKEND.cbcMac(key)(Buffer.alloc(16)),
      aesCtr: () => NATIVE_BACKEND.aesCtr(key)(Buffer.alloc(16), Buffer.alloc(1)),
      aesGcm: () => NATIVE_BACKEND.aesGcm(key).seal(parts, Buffer.alloc(17)),
      xchacha20Poly1305: () => NATIVE_BACKEND.xchacha20Poly1305(key).seal(parts, Buffer.alloc(17)),
      scrypt: () =>
        NATIVE_BACKEND.scrypt(Buffer.alloc(8), { salt: Buffer.alloc(32), logN: 10, r: 8, p: 1 }),
    };
    const failed: string[] = [];
    for (const [primitive, attempt] of Object.entries(attempts)) {
      try {
        await attempt();
      } catch {
        failed.push(primitive);
      }
    }
    expect([...lackingPrimitives()].sort()).toEqual(failed.sort());
  });

  test('writes the same bytes with primitives in plain JavaScript', () => {
    const flags = new Set(flagsOfLayout({ layout: 'xchacha' }));
    const [native, mixed] = [new Set<never>(), new Set(['xchacha20Poly1305'] as const)].map(
      (lacking) => {
        const conf = { flags, longNameMax: 255 };
        const { content } = openLayout(conf, Buffer.alloc(32, 1), 'keyed', nativeExcept(lacking));
        return Buffer.from(content.encryptTarget(Buffer.alloc(16, 2), Buffer.from('target')));
      },
    );
    expect(mixed).toEqual(native);
  });

  test('uses plain JavaScript only for missing primitives', () => {
    const backend = nativeExcept(new Set(['xchacha20Poly1305', 'scrypt']));
    expect(backend).toEqual({
      ...NATIVE_BACKEND,
      xchacha20Poly1305: PURE_BACKEND.xchacha20Poly1305,
      scrypt: PURE_BACKEND.scrypt,
    });
  });
});
