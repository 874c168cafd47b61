// Our code reproduces every object that stock gocryptfs wrote into 22 filesystems byte for byte,
// both ways, with both implementations of the primitives.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { PADDED64, RAW64 } from '../../src/gocryptfs/format/base64url.ts';
import type { CipherBackend } from '../../src/gocryptfs/cipher/cipher-backend.ts';
import { parseConf, type Conf } from '../../src/gocryptfs/conf/config.ts';
import { ContentEncryption } from '../../src/gocryptfs/content/content.ts';
import { parseFeatureFlags } from '../../src/gocryptfs/conf/feature-flags.ts';
import { packFileHeader, parseFileHeader } from '../../src/gocryptfs/format/file-header.ts';
import { unlockMasterkey } from '../../src/gocryptfs/conf/keys.ts';
import { openCipher, openLayout } from '../../src/gocryptfs/layout.ts';
import type { NonceSource } from '../../src/gocryptfs/content/nonces.ts';
import { cipherSizeToPlainSize, plainSizeToCipherSize } from '../../src/gocryptfs/format/sizes.ts';
import { hex } from '../support/format-fixtures.ts';
import { BACKENDS, readVectors } from './support.ts';

/** One file, symlink or directory; names and bytes are in hex. */
interface Entry {
  readonly plainName: string;
  readonly cipherName: string;
  readonly fullName?: string;
  readonly inDir?: boolean;
  readonly size?: number;
  readonly hole?: boolean;
  readonly cipherSize?: number;
  readonly sha256?: string;
  readonly fileID?: string;
  readonly nonces?: readonly string[];
  readonly targetLength?: number;
  readonly targetSha256?: string;
  readonly nonce?: string;
}

interface StockVectors {
  readonly filesystems: Readonly<
    Record<
      string,
      {
        readonly conf?: unknown;
        readonly flags?: readonly string[];
        readonly password?: string;
        readonly masterkey: string;
        readonly dirIVs: { readonly root?: string; readonly dir?: string };
        readonly entries: readonly Entry[];
        readonly xattrs: readonly {
          readonly name: string;
          readonly valueLength: number;
          readonly cipherName: string;
          readonly value: string;
        }[];
      }
    >
  >;
}

const { filesystems } = readVectors('stock-vectors.json') as StockVectors;

const bytes = (length: number, at: (i: number) => number) =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => at(i)));

/** The output of the script that made the vectors. */
function plainContent({ size = 0, hole = false }: Entry): Buffer {
  if (!hole) return bytes(size, (i) => (i + size) % 251);
  const content = Buffer.alloc(size);
  content.write('a', 0);
  content.write('z', size - 1);
  return content;
}
const plainTarget = (length: number) => bytes(length, (i) => 97 + ((i + length) % 26));
const plainValue = (length: number) => bytes(length, (i) => (7 * i + length) % 256);

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** The nonces that stock drew, in the order in which they are asked for. */
class GivenNonces implements NonceSource {
  readonly #nonces: readonly string[];

  constructor(nonces: readonly string[]) {
    this.#nonces = nonces;
  }

  blockNonce(blockNo: number): Buffer {
    return hex(this.#nonces[blockNo] ?? '');
  }

  targetNonce(): Buffer {
    return hex(this.#nonces[0] ?? '');
  }

  xattrNonce(): Buffer {
    return hex(this.#nonces[0] ?? '');
  }
}

function open(
  { flags, longNameMax }: Pick<Conf, 'flags' | 'longNameMax'>,
  masterkey: Buffer,
  backend: CipherBackend,
) {
  const cipher = openCipher({ flags, masterkey, backend });
  const targetText = flags.has('Raw64') ? RAW64 : PADDED64;
  const text = flags.has('PlaintextNames') ? undefined : targetText;
  return {
    ...openLayout({ flags, longNameMax }, masterkey, 'keyed', backend),
    cipher,
    /** Seals as stock did, with its nonces. */
    sealing: (nonces: readonly string[]) =>
      new ContentEncryption(cipher, new GivenNonces(nonces), { targetText: text }),
  };
}

/** The cipher file that stock wrote, rebuilt; its holes are where stock left them. */
function rebuild(entry: Entry, layout: ReturnType<typeof open>): Buffer {
  const { fileID = '', nonces = [] } = entry;
  const plain = plainContent(entry);
  if (plain.length === 0) return plain;
  const sealing = layout.sealing(nonces);
  const parts: Uint8Array[] = [packFileHeader(hex(fileID))];
  for (const [blockNo, nonce] of nonces.entries()) {
    const block = plain.subarray(blockNo * 4096, (blockNo + 1) * 4096);
    const sealed = Buffer.alloc(block.length + sealing.overhead);
    const identity = { fileID: hex(fileID) };
    // A hole is a block of zeros, nonce and tag included.
    const isHole = !/[^0]/.test(nonce);
    if (!isHole) sealing.encryptBlocks({ firstBlock: blockNo, identity, plain: block }, sealed);
    parts.push(sealed);
  }
  return Buffer.concat(parts);
}

const all = Object.entries(filesystems);

test('there are 22 filesystems with 1,232 objects', () => {
  expect(all).toHaveLength(22);
  const counts = all.map(([, { entries, xattrs }]) => entries.length + xattrs.length);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(1232);
});

describe.each(BACKENDS)('with the %s backend, the stock filesystem', (_, backend) => {
  describe.each(all)('%s', (__, filesystem) => {
    const conf: Pick<Conf, 'flags' | 'longNameMax'> =
      filesystem.conf === undefined
        ? { flags: parseFeatureFlags(filesystem.flags), longNameMax: 255 }
        : parseConf(Buffer.from(JSON.stringify(filesystem.conf)));
    const layout = open(conf, hex(filesystem.masterkey), backend);
    const { names, content, xattrs } = layout;
    const dirIVs = {
      root: hex(filesystem.dirIVs.root ?? '00'.repeat(16)),
      dir: hex(filesystem.dirIVs.dir ?? '00'.repeat(16)),
    };

    test('gives its master key for its password', async () => {
      if (filesystem.conf === undefined) return;
      const full = parseConf(Buffer.from(JSON.stringify(filesystem.conf)));
      const password = Buffer.from(filesystem.password ?? '');
      const masterkey = await unlockMasterkey(full, password, backend);
      expect(masterkey.toString('hex')).toBe(filesystem.masterkey);
    });

    test('has these names, both ways', () => {
      expect(names.hasDirIVs).toBe(filesystem.dirIVs.root !== undefined);
      for (const { plainName, cipherName, fullName, inDir = false } of filesystem.entries) {
        const dirIV = inDir ? dirIVs.dir : dirIVs.root;
        const encrypted = names.encryptName(hex(plainName), dirIV);
        expect(Buffer.from(encrypted.name)).toEqual(hex(cipherName));
        expect(encrypted.fullName?.toString()).toBe(fullName);
        const decrypted =
          fullName === undefined
            ? names.decryptName(hex(cipherName), dirIV)
            : names.decryptLongName(hex(cipherName), Buffer.from(fullName), dirIV);
        expect(Buffer.from(decrypted)).toEqual(hex(plainName));
      }
    });

    test('has these files, both ways', () => {
      for (const entry of filesystem.entries) {
        if (entry.size === undefined) continue;
        const file = rebuild(entry, layout);
        expect(sha256(file), `${entry.size} bytes`).toBe(entry.sha256);
        expect(plainSizeToCipherSize(entry.size, content.overhead)).toBe(entry.cipherSize);
        expect(cipherSizeToPlainSize(file.length, content.overhead)).toBe(entry.size);
        const blocks: Buffer[] = [];
        const blockSize = 4096 + content.overhead;
        for (let at = 18; at < file.length; at += blockSize) {
          const sealed = file.subarray(at, at + blockSize);
          blocks.push(content.decryptBlock(blocks.length, parseFileHeader(file), sealed));
        }
        expect(Buffer.concat(blocks).equals(plainContent(entry)), `${entry.size}`).toBe(true);
        if (file.length === 0) continue;
        const run = { firstBlock: 0, fileID: parseFileHeader(file) };
        const out = Buffer.alloc(entry.size);
        expect(content.decryptBlocks({ ...run, sealed: file.subarray(18) }, out)).toBe(entry.size);
        expect(out.equals(plainContent(entry)), `${entry.size} in runs`).toBe(true);
      }
    });

    test('has these symlinks, both ways', () => {
      for (const { targetLength, targetSha256, nonce } of filesystem.entries) {
        if (targetLength === undefined) continue;
        const plain = plainTarget(targetLength);
        const sealing = layout.sealing(nonce === undefined ? [] : [nonce]);
        const target = sealing.encryptTarget(Buffer.alloc(16), plain);
        expect(sha256(target), `${targetLength} bytes`).toBe(targetSha256);
        expect(Buffer.from(content.decryptTarget(target))).toEqual(plain);
      }
    });

    test('has these extended attributes, both ways', () => {
      const { nonceLength } = layout.cipher;
      for (const { name, valueLength, cipherName, value } of filesystem.xattrs) {
        const stored = Buffer.from(cipherName);
        const plainName = Buffer.from(name);
        expect(Buffer.from(xattrs.encryptXattrName(plainName)).toString()).toBe(cipherName);
        expect(Buffer.from(xattrs.decryptXattrName(stored) ?? []).toString()).toBe(name);
        const plain = plainValue(valueLength);
        expect(Buffer.from(xattrs.decryptXattrValue(stored, hex(value)))).toEqual(plain);
        if (valueLength === 0) {
          expect(value).toBe('');
          continue;
        }
        const nonce = hex(value).subarray(0, nonceLength);
        const sealed = Buffer.alloc(valueLength + layout.cipher.overhead);
        layout.cipher.seal({ plain, nonce, associated: Buffer.alloc(8) }, sealed);
        expect(sealed.toString('hex')).toBe(value);
      }
    });
  });
});
