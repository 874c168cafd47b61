// Blocks, headers, sizes and targets: inverse pairs, an independent GCM beside ours, and every
// damage detected.
import { createSecretKey, randomBytes } from 'node:crypto';
import { gcm } from '@noble/ciphers/aes.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { GcmCipher } from '../../../src/gocryptfs/cipher/gcm-cipher.ts';
import { flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { packFileHeader, parseFileHeader } from '../../../src/gocryptfs/format/file-header.ts';
import { deriveSubKey, KeyInfo } from '../../../src/gocryptfs/cipher/sub-keys.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import {
  blockCountOf,
  blockOfCipherOffset,
  cipherOffsetOfBlock,
  cipherSizeToPlainSize,
  plainSizeToCipherSize,
} from '../../../src/gocryptfs/format/sizes.ts';

const masterkey = Buffer.alloc(32, 0x42);
const layout = { flags: new Set(flagsOfLayout({ layout: 'gcm' })), longNameMax: 255 };
const { content } = openLayout(layout, masterkey);
const contentKey = deriveSubKey(masterkey, KeyInfo.gcmContent).export();
const fileID = Buffer.alloc(16, 0x17);

const anyID = fc.uint8Array({ minLength: 16, maxLength: 16 });
const anyBlock = fc.uint8Array({ minLength: 1, maxLength: 4096 });
const anyBlockNo = fc.integer({ min: 0, max: 2 ** 41 });

function seal(blockNo: number, id: Uint8Array, plain: Uint8Array): Buffer {
  const out = Buffer.alloc(plain.length + blockCountOf(plain.length) * 32);
  expect(content.encryptBlocks({ firstBlock: blockNo, identity: { fileID: id }, plain }, out)).toBe(
    out.length,
  );
  return out;
}
function associated(blockNo: number, id: Uint8Array): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(blockNo));
  return Buffer.concat([bytes, id]);
}
function codeOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    return error instanceof EcsyncError ? error.code : String(error);
  }
  return 'no error';
}

describe('a block', () => {
  test('decrypts to what was encrypted, and opens with another implementation of GCM', () => {
    fc.assert(
      fc.property(anyBlockNo, anyID, anyBlock, (blockNo, id, plain) => {
        const sealed = seal(blockNo, id, plain);
        expect(content.decryptBlock(blockNo, id, sealed)).toEqual(Buffer.from(plain));
        const noble = gcm(contentKey, sealed.subarray(0, 16), associated(blockNo, id));
        expect(Buffer.from(noble.decrypt(sealed.subarray(16)))).toEqual(Buffer.from(plain));
      }),
    );
  });

  test('sealed by another implementation of GCM decrypts', () => {
    fc.assert(
      fc.property(anyBlockNo, anyID, anyBlock, (blockNo, id, plain) => {
        const nonce = randomBytes(16);
        const noble = gcm(contentKey, nonce, associated(blockNo, id));
        const sealed = Buffer.concat([nonce, noble.encrypt(plain)]);
        expect(content.decryptBlock(blockNo, id, sealed)).toEqual(Buffer.from(plain));
      }),
    );
  });

  test('encrypted in a run equals the same block encrypted alone', () => {
    const plain = randomBytes(3 * 4096 + 5);
    const run = seal(7, fileID, plain);
    for (const index of [0, 1, 2, 3]) {
      const alone = seal(7 + index, fileID, plain.subarray(index * 4096, (index + 1) * 4096));
      expect(run.subarray(index * 4128, index * 4128 + alone.length)).toEqual(alone);
    }
  });

  test('is the same for the same plaintext; any other input gives another nonce', () => {
    const plain = Buffer.alloc(100, 'p');
    const sealed = seal(3, fileID, plain);
    expect(seal(3, fileID, Buffer.from(plain))).toEqual(sealed);
    const others = [
      seal(4, fileID, plain),
      seal(3, Buffer.alloc(16, 0x18), plain),
      seal(3, fileID, plain.subarray(1)),
      seal(3, fileID, Buffer.concat([plain, Buffer.alloc(1)])),
      seal(3, fileID, Buffer.from(plain).fill('q', 99)),
    ];
    const nonces = [sealed, ...others].map((block) => block.toString('hex', 0, 16));
    expect(new Set(nonces).size).toBe(6);
  });

  test('is refused when any one bit differs', () => {
    const sealed = seal(0, fileID, Buffer.from('some text'));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const damaged = Buffer.from(sealed);
      const at = Math.floor(bit / 8);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (bit % 8));
      expect(codeOf(() => content.decryptBlock(0, fileID, damaged))).toBe('tag-mismatch');
    }
  });

  test('is refused at another place, in another file, shortened, or as a symlink target', () => {
    const sealed = seal(1, fileID, Buffer.alloc(4096, 1));
    expect(codeOf(() => content.decryptBlock(0, fileID, sealed))).toBe('tag-mismatch');
    const other = Buffer.alloc(16, 0x18);
    expect(codeOf(() => content.decryptBlock(1, other, sealed))).toBe('tag-mismatch');
    const cut = sealed.subarray(0, 4000);
    expect(codeOf(() => content.decryptBlock(1, fileID, cut))).toBe('tag-mismatch');
    const target = Buffer.from(seal(0, fileID, Buffer.from('x')).toString('base64url'));
    expect(codeOf(() => content.decryptTarget(target))).toBe('tag-mismatch');
  });

  test.each([0, 1, 31, 32, 4129, 5000])('of %i bytes is illegal', (length) => {
    const sealed = Buffer.alloc(length, 1);
    expect(codeOf(() => content.decryptBlock(0, fileID, sealed))).toBe('block-size-illegal');
  });

  test('of full size and only zeros is a hole; anything like it is not', () => {
    expect(content.decryptBlock(5, fileID, Buffer.alloc(4128))).toEqual(Buffer.alloc(4096));
    const short = Buffer.alloc(4127);
    expect(codeOf(() => content.decryptBlock(5, fileID, short))).toBe('nonce-zero');
    const almost = Buffer.alloc(4128).fill(1, 4127);
    expect(codeOf(() => content.decryptBlock(5, fileID, almost))).toBe('nonce-zero');
  });

  test('of zeros is encrypted like any other, never left as a hole', () => {
    expect(seal(0, fileID, Buffer.alloc(4096)).equals(Buffer.alloc(4128))).toBe(false);
  });
});

test('GcmCipher refuses a nonce of another length', () => {
  const cipher = new GcmCipher(createSecretKey(contentKey));
  const parts = { plain: Buffer.alloc(1), nonce: Buffer.alloc(12), associated: Buffer.alloc(8) };
  expect(codeOf(() => cipher.seal(parts, Buffer.alloc(33)))).toBe('invariant');
});

describe('a symlink target', () => {
  test('decrypts to what was encrypted', () => {
    fc.assert(
      fc.property(anyID, fc.uint8Array({ maxLength: 3039 }), (linkID, target) => {
        const stored = content.encryptTarget(linkID, target);
        expect(stored.toString()).toMatch(/^[A-Za-z0-9_-]{1,4095}$/);
        expect(content.decryptTarget(stored)).toEqual(Buffer.from(target));
      }),
    );
  });

  test('is stored differently in two places', () => {
    const [a, b] = [1, 2].map((id) =>
      content.encryptTarget(Buffer.alloc(16, id), Buffer.from('t')),
    );
    expect(a).not.toEqual(b);
  });

  test('may have 3039 bytes and not one more', () => {
    expect(content.encryptTarget(fileID, Buffer.alloc(3039, 't'))).toHaveLength(4095);
    const attempt = () => content.encryptTarget(fileID, Buffer.alloc(3040, 't'));
    expect(codeOf(attempt)).toBe('target-too-long');
  });

  test.each([
    ['plaintext', '/etc/passwd', 'target-invalid'],
    ['padded', `${Buffer.alloc(40, 1).toString('base64url')}=`, 'target-invalid'],
    ['too long', Buffer.alloc(3075, 1).toString('base64url'), 'target-invalid'],
    ['empty', '', 'tag-mismatch'],
    ['too short', Buffer.alloc(31, 1).toString('base64url'), 'tag-mismatch'],
    ['foreign', Buffer.alloc(40, 1).toString('base64url'), 'tag-mismatch'],
    ['zeros', Buffer.alloc(40).toString('base64url'), 'nonce-zero'],
  ])('that is %s is refused', (_, text, code) => {
    expect(codeOf(() => content.decryptTarget(Buffer.from(text)))).toBe(code);
  });
});

describe('the file header', () => {
  test('packFileHeader() and parseFileHeader() are inverse', () => {
    fc.assert(
      fc.property(anyID, (id) => {
        fc.pre(id.some((byte) => byte !== 0));
        expect(Buffer.from(parseFileHeader(packFileHeader(id)))).toEqual(Buffer.from(id));
      }),
    );
  });

  test('the file ID outlives the buffer it was read from', () => {
    const header = packFileHeader(Buffer.alloc(16, 7));
    const fileID = parseFileHeader(header);
    header.fill(0);
    expect(Buffer.from(fileID)).toEqual(Buffer.alloc(16, 7));
  });

  test.each([
    ['nothing', ''],
    ['17 bytes', '0002' + '11'.repeat(15)],
    ['zeros', '00'.repeat(18)],
    ['version 1', '0001' + '11'.repeat(16)],
    ['version 512', '0200' + '11'.repeat(16)],
    ['no ID', '0002' + '00'.repeat(16)],
  ])('%s is no header', (_, bytes) => {
    expect(codeOf(() => parseFileHeader(Buffer.from(bytes, 'hex')))).toBe('header-invalid');
  });
});

describe('sizes', () => {
  const anySize = fc.oneof(
    fc.integer({ min: 0, max: 20_000 }),
    fc.integer({ min: 0, max: 2 ** 52 }),
    fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52),
  );

  test.each([32, 40])('convert both ways with an overhead of %i', (overhead) => {
    fc.assert(
      fc.property(anySize, (plainSize) => {
        const cipherSize = plainSizeToCipherSize(plainSize, overhead);
        expect(cipherSizeToPlainSize(cipherSize, overhead)).toBe(plainSize);
      }),
    );
  });

  test('of ciphertext are legal exactly when a plaintext has them', () => {
    const legal = new Set([18]); // a header alone, which other programs write: an empty file
    for (let plainSize = 0; plainSize <= 9000; plainSize++) {
      legal.add(plainSizeToCipherSize(plainSize));
    }
    for (let cipherSize = 0; cipherSize <= plainSizeToCipherSize(9000); cipherSize++) {
      const code = codeOf(() => cipherSizeToPlainSize(cipherSize));
      expect(code).toBe(legal.has(cipherSize) ? 'no error' : 'cipher-size-illegal');
    }
  });

  test.each([-1, 0.5, NaN, Infinity, 2 ** 53])('%d is not a size', (size) => {
    expect(codeOf(() => plainSizeToCipherSize(size))).toBe('invariant');
    expect(codeOf(() => cipherSizeToPlainSize(size))).toBe('invariant');
  });

  test('offsets and block numbers fit together, beyond 2^32 too', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (blockNo) => {
        const start = cipherOffsetOfBlock(blockNo);
        expect(start).toBe(18 + blockNo * 4128);
        expect(blockOfCipherOffset(start)).toBe(blockNo);
        expect(blockOfCipherOffset(start + 4127)).toBe(blockNo);
        expect(blockOfCipherOffset(start - 1)).toBe(Math.max(0, blockNo - 1));
      }),
    );
  });
});
