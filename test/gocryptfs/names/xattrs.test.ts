// Names and values of extended attributes; what stock wrote is in stock-vectors.test.ts.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flagsOfLayout, type LayoutChoice } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import { codeOf } from '../support.ts';

const masterkey = Buffer.alloc(32, 21);
const object = Buffer.alloc(16, 4);

function open(choice: LayoutChoice) {
  const conf = { flags: new Set(flagsOfLayout(choice)), longNameMax: 255 };
  const derivation = choice.layout === 'reverse' ? 'reverse' : 'keyed';
  return openLayout(conf, masterkey, derivation).xattrs;
}

const layouts = [
  ['gcm', open({ layout: 'gcm' })],
  ['xchacha', open({ layout: 'xchacha' })],
  ['reverse', open({ layout: 'reverse' })],
  ['gcm with plaintext names', open({ layout: 'gcm', plaintextNames: true })],
] as const;

const anyName = fc.uint8Array({ minLength: 1, maxLength: 175 }).filter((name) => !name.includes(0));
const ACLS = ['system.posix_acl_access', 'system.posix_acl_default'];

describe.each(layouts)('extended attributes in layout %s', (_, xattrs) => {
  test('names come back, and fit into 255 bytes', () => {
    fc.assert(
      fc.property(anyName, (name) => {
        const stored = xattrs.encryptXattrName(name);
        expect(stored.length).toBeLessThanOrEqual(255);
        expect(Buffer.from(stored).toString()).toMatch(/^user\.gocryptfs\.[A-Za-z0-9_=-]+$/);
        expect(xattrs.decryptXattrName(stored)).toEqual(name);
      }),
    );
  });

  test('values come back; equal input gives equal bytes', () => {
    fc.assert(
      fc.property(anyName, fc.uint8Array({ maxLength: 5000 }), (name, value) => {
        const stored = xattrs.encryptXattrName(name);
        const sealed = xattrs.encryptXattrValue({ name, value, object });
        expect(xattrs.encryptXattrValue({ name, value, object })).toEqual(sealed);
        expect(Buffer.from(xattrs.decryptXattrValue(stored, sealed))).toEqual(Buffer.from(value));
      }),
    );
  });

  test('an empty value stays empty', () => {
    const name = Buffer.from('user.empty');
    expect(xattrs.encryptXattrValue({ name, value: Buffer.alloc(0), object })).toHaveLength(0);
    expect(xattrs.decryptXattrValue(Buffer.from('user.gocryptfs.x'), Buffer.alloc(0))).toHaveLength(
      0,
    );
  });

  test.each(ACLS)('%s passes through', (acl) => {
    const name = Buffer.from(acl);
    const value = Buffer.from('0200', 'hex');
    expect(xattrs.encryptXattrName(name)).toEqual(name);
    expect(xattrs.decryptXattrName(name)).toEqual(name);
    expect(xattrs.encryptXattrValue({ name, value, object })).toEqual(value);
    expect(xattrs.decryptXattrValue(name, value)).toEqual(value);
  });

  test('the same value on another object or under another name has another nonce', () => {
    const name = Buffer.from('user.a');
    const value = Buffer.from('value');
    const nonceOf = (changes: object) =>
      Buffer.from(xattrs.encryptXattrValue({ name, value, object, ...changes }))
        .subarray(0, 16)
        .toString('hex');
    const nonces = [{}, { name: Buffer.from('user.b') }, { object: Buffer.alloc(16, 5) }];
    expect(new Set(nonces.map(nonceOf)).size).toBe(3);
  });

  test('names and values that the key did not write are refused', () => {
    const name = Buffer.from('user.a');
    const stored = xattrs.encryptXattrName(name);
    const sealed = xattrs.encryptXattrValue({ name, value: Buffer.from('value'), object });
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(codeOf(() => xattrs.decryptXattrValue(stored, changed))).toBe('xattr-value-invalid');
      const cut = sealed.subarray(0, at);
      if (at === 0) continue;
      expect(codeOf(() => xattrs.decryptXattrValue(stored, cut))).toBe('xattr-value-invalid');
    }
    const zeros = Buffer.alloc(4136);
    expect(codeOf(() => xattrs.decryptXattrValue(stored, zeros))).toBe('xattr-value-invalid');
  });

  test('a value in base64, as old releases wrote it, is read', () => {
    const name = Buffer.from('user.old');
    const stored = xattrs.encryptXattrName(name);
    const value = Buffer.from('eighteen bytes long');
    const sealed = Buffer.from(xattrs.encryptXattrValue({ name, value, object }));
    const isPadded = Buffer.from(xattrs.encryptXattrName(Buffer.from('user.a'))).includes('=');
    const raw = sealed.toString('base64url');
    const text = isPadded ? raw.padEnd(Math.ceil(raw.length / 4) * 4, '=') : raw;
    expect(xattrs.decryptXattrValue(stored, Buffer.from(text))).toEqual(value);
  });
});

const [[, xattrs], [, xchacha]] = layouts;

test.each([
  ['gcm', xattrs],
  ['xchacha', xchacha],
])('another value has another nonce in layout %s', (_, keyed) => {
  const name = Buffer.from('user.a');
  const [a, b] = ['1', '2'].map((text) =>
    Buffer.from(keyed.encryptXattrValue({ name, value: Buffer.from(text), object })),
  );
  expect(a?.subarray(0, 16)).not.toEqual(b?.subarray(0, 16));
});

test('a name and a value that are split differently have another nonce', () => {
  const sealed = (name: string, value: string) =>
    xattrs.encryptXattrValue({ name: Buffer.from(name), value: Buffer.from(value), object });
  expect(sealed('user.a', 'bc').subarray(0, 16)).not.toEqual(
    sealed('user.ab', 'c').subarray(0, 16),
  );
});

test.each([
  ['empty', Buffer.alloc(0)],
  ['of 176 bytes', Buffer.alloc(176, 'x')],
  ['with NUL', Buffer.from('user.\0')],
])('a name that is %s cannot be encrypted', (_, name) => {
  expect(codeOf(() => xattrs.encryptXattrName(name))).toBe('xattr-name-unsupported');
});

test.each([
  ['without the prefix', 'user.comment'],
  ['with half the prefix', 'user.gocrypt'],
  ['of another namespace', 'security.selinux'],
])('a stored name %s is no part of the filesystem', (_, name) => {
  expect(xattrs.decryptXattrName(Buffer.from(name))).toBeUndefined();
});

test.each([
  ['nothing', ''],
  ['no base64', '*'.repeat(22)],
  ['padding', `${Buffer.alloc(16, 1).toString('base64url')}==`],
  ['half a block', Buffer.alloc(8, 1).toString('base64url')],
  ['a foreign block', Buffer.alloc(16, 1).toString('base64url')],
  ['more than fits', Buffer.alloc(256, 1).toString('base64url')],
])('a stored name with %s after the prefix is refused', (_, rest) => {
  const attempt = () => xattrs.decryptXattrName(Buffer.from(`user.gocryptfs.${rest}`));
  expect(codeOf(attempt)).toBe('xattr-name-invalid');
});

test('a value may have 65503 bytes and not one more, which is what stock reads', () => {
  const xattr = { name: Buffer.from('user.big'), object };
  expect(xattrs.encryptXattrValue({ ...xattr, value: Buffer.alloc(65503) })).toHaveLength(65535);
  const attempt = () => xattrs.encryptXattrValue({ ...xattr, value: Buffer.alloc(65505) });
  expect(codeOf(attempt)).toBe('xattr-value-too-long');
});

test('an identity of another length is a bug', () => {
  const xattr = { name: Buffer.from('user.a'), value: Buffer.from('v'), object: Buffer.alloc(15) };
  expect(codeOf(() => xattrs.encryptXattrValue(xattr))).toBe('invariant');
});
