// Our keys, names and content must reproduce what stock gocryptfs 2.3 wrote; nothing here was made
// by ecsync.
import { createHash, createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseConf } from '../../src/gocryptfs/conf/config.ts';
import { Eme } from '../../src/gocryptfs/names/eme.ts';
import { parseFileHeader } from '../../src/gocryptfs/format/file-header.ts';
import { deriveKek, unlockMasterkey } from '../../src/gocryptfs/conf/keys.ts';
import { deriveSubKey, KeyInfo } from '../../src/gocryptfs/cipher/sub-keys.ts';
import { cipherOf, openLayout } from '../../src/gocryptfs/layout.ts';
import { NameCipher } from '../../src/gocryptfs/names/names.ts';
import { cipherSizeToPlainSize, plainSizeToCipherSize } from '../../src/gocryptfs/format/sizes.ts';
import { formatTables, hex, pattern, stockFilesystems } from '../support/format-fixtures.ts';

const stock = stockFilesystems();
const tables = formatTables();

function contentInfo(flags: readonly string[]): { info: KeyInfo; length: number } {
  if (flags.includes('AESSIV')) return { info: KeyInfo.sivContent, length: 64 };
  if (flags.includes('XChaCha20Poly1305')) return { info: KeyInfo.xchachaContent, length: 32 };
  return { info: KeyInfo.gcmContent, length: 32 };
}

describe.each(stock)('the stock filesystem %s', (_, filesystem) => {
  const conf = parseConf(Buffer.from(JSON.stringify(filesystem.conf)));
  const masterkey = hex(filesystem.masterkey);

  test('gives its master key for its password', async () => {
    const unlocked = await unlockMasterkey(conf, Buffer.from(filesystem.password));
    expect(unlocked.toString('hex')).toBe(filesystem.masterkey);
  });

  test('has the sub-keys that HKDF gives', () => {
    const { info, length } = contentInfo(filesystem.conf.FeatureFlags);
    const content = deriveSubKey(masterkey, info, length).export().toString('hex');
    expect(content).toBe(filesystem.content_key);
    if (filesystem.eme_key === undefined) return;
    const names = deriveSubKey(masterkey, KeyInfo.names).export().toString('hex');
    expect(names).toBe(filesystem.eme_key);
  });
});

const named = stock.filter(([, filesystem]) => filesystem.names !== undefined);
test('all but the two filesystems with plaintext names have encrypted ones', () => {
  expect(named).toHaveLength(7);
});

describe.each(named)('the names of the stock filesystem %s', (_, filesystem) => {
  const conf = parseConf(Buffer.from(JSON.stringify(filesystem.conf)));
  const eme = new Eme(createSecretKey(hex(filesystem.eme_key ?? '')));
  const names = new NameCipher(eme, { longNameMax: conf.longNameMax });
  // Without DirIV the tweak of every directory is zero.
  const dirIV = hex(filesystem.root_diriv ?? '00'.repeat(16));

  test.each(Object.entries(filesystem.names ?? {}))('%s, both ways', (plain, stored) => {
    const encrypted = names.encryptName(Buffer.from(plain), dirIV);
    const disk = typeof stored === 'string' ? stored : stored.disk;
    expect(Buffer.from(encrypted.name).toString()).toBe(disk);
    if (typeof stored === 'string') {
      expect(encrypted.fullName).toBeUndefined();
      expect(names.decryptName(Buffer.from(disk), dirIV)).toEqual(Buffer.from(plain));
      return;
    }
    expect(Buffer.from(encrypted.fullName ?? []).toString()).toBe(stored.name_file);
    const decrypted = names.decryptLongName(
      Buffer.from(stored.disk),
      Buffer.from(stored.name_file),
      dirIV,
    );
    expect(decrypted).toEqual(Buffer.from(plain));
  });
});

const filesystems = stock.map(([name, filesystem]) => {
  const conf = parseConf(Buffer.from(JSON.stringify(filesystem.conf)));
  return [name, { ...filesystem, conf, masterkey: hex(filesystem.masterkey) }] as const;
});
test('the stock filesystems have every cipher', () => {
  const ciphers = filesystems.map(([, { conf }]) => cipherOf(conf.flags));
  expect(new Set(ciphers)).toEqual(new Set(['AES-GCM', 'AES-SIV', 'XChaCha20-Poly1305']));
});

describe.each(filesystems)('the content of the stock filesystem %s', (_, filesystem) => {
  const { content, names } = openLayout(filesystem.conf, filesystem.masterkey);
  const { overhead } = content;
  const plaintexts: Readonly<Record<string, Buffer>> = {
    a: Buffer.from('a'),
    'hello.txt': Buffer.from('Hello, gocryptfs!\n'),
    'dir/hello.txt': Buffer.from('Hello, gocryptfs!\n'),
    f4097: pattern(4097),
  };

  const stored = Object.entries(filesystem.files).filter(([, { hex }]) => hex !== undefined);
  test.each(stored)('%s decrypts', (name, answer) => {
    const file = hex(answer.hex ?? '');
    const plain = plaintexts[name] ?? Buffer.from(`no plaintext known for ${name}`);
    expect(createHash('sha256').update(file).digest('hex')).toBe(answer.sha256);
    expect(plainSizeToCipherSize(plain.length, overhead)).toBe(file.length);
    const blocks: Buffer[] = [];
    for (let at = 18; at < file.length; at += 4096 + overhead) {
      const block = file.subarray(at, at + 4096 + overhead);
      blocks.push(content.decryptBlock(blocks.length, parseFileHeader(file), block));
    }
    expect(Buffer.concat(blocks)).toEqual(plain);
  });

  test('a symlink and a file in a sub-directory decrypt', () => {
    const { symlink, dir } = filesystem;
    if (symlink !== undefined) {
      const target = content.decryptTarget(Buffer.from(symlink.disk));
      expect(Buffer.from(target).toString()).toBe(symlink.plain);
    }
    if (dir === undefined) return;
    const dirIV = names.hasDirIVs ? hex(dir['diriv'] ?? '') : Buffer.alloc(16);
    const encrypted = names.encryptName(Buffer.from('hello.txt'), dirIV);
    expect(Buffer.from(encrypted.name).toString()).toBe(dir['hello.txt']);
    const file = hex(dir['content_hex'] ?? '');
    const plain = content.decryptBlock(0, parseFileHeader(file), file.subarray(18));
    expect(plain).toEqual(plaintexts['hello.txt']);
  });
});

test.each(tables.hkdf)('HKDF of $masterkey for $info', ({ masterkey, info, key }) => {
  const derived = deriveSubKey(hex(masterkey), KeyInfo[info]).export();
  expect(derived.toString('hex')).toBe(key);
});

test.each(tables.scrypt)('scrypt of RFC 7914 with N = 2^$logN', async (answer) => {
  const { logN, r, p } = answer;
  const salt = Buffer.from(answer.salt);
  const kek = await deriveKek(Buffer.from(answer.password), { salt, logN, r, p });
  expect(kek.toString('hex')).toBe(answer.kek);
});

test.each(tables.eme)('EME of $plain', ({ key, tweak, plain, cipher }) => {
  const eme = new Eme(createSecretKey(hex(key)));
  expect(eme.encrypt(hex(tweak), hex(plain)).toString('hex')).toBe(cipher);
  expect(eme.decrypt(hex(tweak), hex(cipher)).toString('hex')).toBe(plain);
});

test.each(tables.sizes)('%i plaintext bytes become %i', (plainSize, cipherSize) => {
  expect(plainSizeToCipherSize(plainSize)).toBe(cipherSize);
  expect(cipherSizeToPlainSize(cipherSize)).toBe(plainSize);
});

test.each(tables.nameLengths)(
  'names of %i … %i bytes have %i characters',
  (from, to, characters) => {
    const names = new NameCipher(new Eme(createSecretKey(Buffer.alloc(32))));
    for (const length of [from, to]) {
      const encrypted = names.encryptName(Buffer.alloc(length, 'n'), Buffer.alloc(16, 1));
      expect((encrypted.fullName ?? encrypted.name).length).toBe(characters);
      expect(encrypted.fullName === undefined).toBe(length <= 175);
    }
  },
);
