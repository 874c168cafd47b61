// Names: encryption is reversible, and only names that we would have written are accepted.
import { createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { Eme } from '../../../src/gocryptfs/names/eme.ts';
import {
  hashLongName,
  isPlainName,
  kindOfCipherName,
  NameCipher,
  PlainNames,
  type NameScheme,
  padName,
  TEMPORARY_DIRECTORY,
  unpadName,
} from '../../../src/gocryptfs/names/names.ts';
import { RAW64 } from '../../../src/gocryptfs/format/base64url.ts';

test('RAW64 writes what Node writes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = RAW64.encode(bytes);
      expect(text.toString('latin1')).toBe(Buffer.from(bytes).toString('base64url'));
      expect(text).toHaveLength(RAW64.encodedLength(bytes.length));
    }),
  );
});

test.each([
  ['encrypted', (): NameScheme => names],
  ['plain', (): NameScheme => new PlainNames()],
])('%s names together are what they are one by one, refused ones undefined', (_kind, scheme) => {
  const any = fc.oneof(anyName, fc.constantFrom(Buffer.from('.'), Buffer.alloc(256, 1)));
  fc.assert(
    fc.property(fc.array(any, { maxLength: 8 }), (plainNames) => {
      const alone = plainNames.map((name) =>
        isPlainName(name) ? scheme().encryptName(name, dirIV) : undefined,
      );
      expect(scheme().encryptNames(plainNames, dirIV)).toEqual(alone);
    }),
  );
});

const eme = new Eme(createSecretKey(Buffer.alloc(32, 11)));
const names = new NameCipher(eme);
const dirIV = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');

const anyTweak = fc.uint8Array({ minLength: 16, maxLength: 16 });
const anyName = fc.uint8Array({ minLength: 1, maxLength: 255 }).filter(isPlainName);
const anyBlocks = fc
  .integer({ min: 1, max: 16 })
  .chain((blocks) => fc.uint8Array({ minLength: 16 * blocks, maxLength: 16 * blocks }));

function codeOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    return error instanceof EcsyncError ? error.code : String(error);
  }
  return 'no error';
}

describe('Eme', () => {
  test('encrypt() and decrypt() are inverse and leave their arguments alone', () => {
    fc.assert(
      fc.property(anyTweak, anyBlocks, (tweak, plain) => {
        const before = Buffer.from(plain);
        const cipher = eme.encrypt(tweak, plain);
        expect(cipher).toHaveLength(plain.length);
        expect(eme.decrypt(tweak, cipher)).toEqual(before);
        expect(Buffer.from(plain)).toEqual(before);
      }),
    );
  });

  test('encryptAll() encrypts each message as encrypt() does', () => {
    fc.assert(
      fc.property(anyTweak, fc.array(anyBlocks, { maxLength: 6 }), (tweak, messages) => {
        let end = 0;
        const ends = messages.map((message) => (end += message.length));
        const apart = messages.map((message) => eme.encrypt(tweak, message));
        const together = eme.encryptAll(tweak, Buffer.concat(messages), ends);
        expect(together).toEqual(Buffer.concat(apart));
      }),
    );
  });

  test.each([
    ['a part of a block', 32, [8, 32]],
    ['nothing', 32, [16, 16, 32]],
    ['too much', 272, [272]],
    ['less than there is', 32, [16]],
  ])('refuses messages with ends that leave %s', (_what, length, ends) => {
    expect(codeOf(() => eme.encryptAll(dirIV, Buffer.alloc(length), ends))).toBe('invariant');
  });

  test('one other bit, in the name or in the tweak, changes every block', () => {
    const plain = Buffer.alloc(64, 1);
    const cipher = eme.encrypt(dirIV, plain);
    const otherPlain = Buffer.from(plain).fill(3, 63);
    const otherTweak = Buffer.from(dirIV).fill(0x0e, 15);
    const others = [eme.encrypt(dirIV, otherPlain), eme.encrypt(otherTweak, plain)];
    for (const other of others) {
      for (let at = 0; at < 64; at += 16) {
        expect(other.subarray(at, at + 16)).not.toEqual(cipher.subarray(at, at + 16));
      }
    }
  });

  test.each([0, 1, 15, 17, 257, 272])('refuses %i bytes', (length) => {
    expect(codeOf(() => eme.encrypt(dirIV, Buffer.alloc(length)))).toBe('invariant');
  });

  test('refuses a tweak of another length', () => {
    expect(codeOf(() => eme.encrypt(Buffer.alloc(15), Buffer.alloc(16)))).toBe('invariant');
  });
});

describe('padding', () => {
  test('padName() and unpadName() are inverse', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 255 }), (name) => {
        const padded = padName(name);
        expect(padded.length % 16).toBe(0);
        expect(Buffer.from(unpadName(padded) ?? [])).toEqual(Buffer.from(name));
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['a count of zero', '61'.repeat(15) + '00'],
    ['a count over sixteen', '61'.repeat(15) + '11'],
    ['only padding', '10'.repeat(16)],
    ['unequal padding', '61'.repeat(13) + '020303'],
  ])('%s is no padding', (_, padded) => {
    expect(unpadName(Buffer.from(padded, 'hex'))).toBeUndefined();
  });
});

describe('NameCipher', () => {
  test.each([62, 100, 255])('both ways at a limit of %i characters', (longNameMax) => {
    const limited = new NameCipher(eme, { longNameMax });
    fc.assert(
      fc.property(anyName, anyTweak, (name, tweak) => {
        const encrypted = limited.encryptName(name, tweak);
        expect(encrypted.name.length).toBeLessThanOrEqual(longNameMax);
        const decrypted =
          encrypted.fullName === undefined
            ? limited.decryptName(encrypted.name, tweak)
            : limited.decryptLongName(encrypted.name, encrypted.fullName, tweak);
        expect(Buffer.from(decrypted)).toEqual(Buffer.from(name));
      }),
    );
  });

  test.each([
    ['empty', Buffer.alloc(0)],
    ['of 256 bytes', Buffer.alloc(256, 'n')],
    ['.', Buffer.from('.')],
    ['..', Buffer.from('..')],
    ['with a slash', Buffer.from('a/b')],
    ['with a NUL', Buffer.from('a\0b')],
  ])('refuses to encrypt a name that is %s, and does not decrypt to one', (_, name) => {
    expect(codeOf(() => names.encryptName(name, dirIV))).toBe('name-unsupported');
    if (name.length === 0 || name.length > 255) return;
    const forged = Buffer.from(eme.encrypt(dirIV, padName(name)).toString('base64url'));
    expect(codeOf(() => names.decryptName(forged, dirIV))).toBe('name-invalid');
  });

  test('three dots and names that start with dots are ordinary', () => {
    for (const name of ['...', '..a', '.a']) expect(isPlainName(Buffer.from(name))).toBe(true);
  });

  const stored = names.encryptName(Buffer.from('hello'), dirIV).name;
  const text = Buffer.from(stored).toString();
  test.each([
    ['empty', ''],
    ['a character short', text.slice(0, -1)],
    ['padded', `${text}==`],
    ['with a newline', `${text}\n`],
    ['with a space inside', `${text.slice(0, 5)} ${text.slice(5)}`],
    ['of the other alphabet', '+/'.repeat(11)],
    ['an rsync temporary file', `.${text}.AbC123`],
    ['of half a block', Buffer.alloc(8).toString('base64url')],
    ['longer than any name', Buffer.alloc(272).toString('base64url')],
    ['too long to be looked at', 'A'.repeat(100_000)],
  ])('refuses a stored name that is %s', (_, foreign) => {
    expect(codeOf(() => names.decryptName(Buffer.from(foreign), dirIV))).toBe('name-invalid');
  });

  test('accepts only one spelling of a name', () => {
    // The last of 22 characters carries 2 bits; the other 15 spellings decode to the same bytes.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const accepted = Array.from(alphabet).filter((last) => {
      const spelling = Buffer.from(text.slice(0, -1) + last);
      return RAW64.decode(spelling) !== undefined;
    });
    expect(accepted).toHaveLength(4);
  });

  test('refuses a .name file that belongs to another object, has a newline, or is short', () => {
    const { name, fullName } = names.encryptName(Buffer.alloc(200, 'n'), dirIV);
    const other = names.encryptName(Buffer.alloc(200, 'm'), dirIV);
    const short = names.encryptName(Buffer.from('short'), dirIV).name;
    const full = Buffer.from(fullName ?? []);
    const attempts: readonly (readonly [Uint8Array, Uint8Array])[] = [
      [other.name, full],
      [name, Buffer.concat([full, Buffer.from('\n')])],
      [name, Buffer.alloc(0)],
      [hashLongName(short), short],
      [name, Buffer.alloc(400, 'A')],
    ];
    for (const [hashed, content] of attempts) {
      const code = codeOf(() => names.decryptLongName(hashed, content, dirIV));
      expect(code).toBe('name-file-invalid');
    }
  });
});

test.each([
  ['gocryptfs.conf', 'conf'],
  ['gocryptfs.diriv', 'diriv'],
  ['gocryptfs.longname.se-xV4aq', 'long'],
  ['gocryptfs.longname.se-xV4aq.name', 'name-file'],
  [TEMPORARY_DIRECTORY, 'name-file'],
  ['UPo8UQ0X08hP6iscrzQj9g', 'direct'],
  ['gocryptfs.diriv.rmdir.123', 'direct'],
] as const)('%s is of kind %s', (name, kind) => {
  expect(kindOfCipherName(Buffer.from(name))).toBe(kind);
});
