// FORMAT.md is precise enough to write a second encoder from: the one in fixtures/format/ is in
// another language and shares no code, and both must give the same bytes.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseConf } from '../../src/gocryptfs/conf/config.ts';
import { flagsOfLayout } from '../../src/gocryptfs/conf/feature-flags.ts';
import { packFileHeader } from '../../src/gocryptfs/format/file-header.ts';
import { replaceAllZero } from '../../src/gocryptfs/content/identity.ts';
import { deriveSubKey, KeyInfo } from '../../src/gocryptfs/cipher/sub-keys.ts';
import { openLayout } from '../../src/gocryptfs/layout.ts';
import { BytesFile, CipherFile } from '../../src/view/encrypt/cipher-file.ts';
import { derivations, hex, pattern, stockFilesystems } from '../support/format-fixtures.ts';

const answers = derivations();
const { names, content, identities } = openLayout(
  { flags: new Set(flagsOfLayout({ layout: 'gcm' })), longNameMax: 255 },
  hex(answers.masterkey),
);

test.each(['names', 'gcmContent', 'ecsyncNonces', 'ecsyncIdentities', 'ecsyncConfSeal'] as const)(
  'sub-key %s',
  (name) => {
    const key = deriveSubKey(hex(answers.masterkey), KeyInfo[name]).export();
    expect(key.toString('hex')).toBe(answers.subKeys[name]);
  },
);

test.each(answers.identities)('identities of "$path", birth $counter', (answer) => {
  const birth = { path: hex(answer.path), counter: answer.counter };
  expect(Buffer.from(identities.file(birth).fileID).toString('hex')).toBe(answer.fileID);
  expect(identities.dirIV(birth).toString('hex')).toBe(answer.dirIV);
  expect(identities.linkID(birth).toString('hex')).toBe(answer.linkID);
});

test('no two identities are equal', () => {
  const all = answers.identities.flatMap(({ fileID, dirIV, linkID }) => [fileID, dirIV, linkID]);
  expect(new Set(all).size).toBe(all.length);
});

test('an all-zero identity or nonce is replaced, every other value is kept', () => {
  expect(replaceAllZero(Buffer.alloc(16)).toString('hex')).toBe('00'.repeat(15) + '01');
  expect(replaceAllZero(Buffer.alloc(16, 7))).toEqual(Buffer.alloc(16, 7));
});

test.each(answers.names)('name $plain in "$directory"', ({ directory, plain, name, fullName }) => {
  const dirIV = identities.dirIV({ path: hex(directory), counter: 0 });
  const encrypted = names.encryptName(hex(plain), dirIV);
  expect(Buffer.from(encrypted.name).toString()).toBe(name);
  if (fullName === undefined) expect(encrypted.fullName).toBeUndefined();
  else expect(Buffer.from(encrypted.fullName ?? []).toString()).toBe(fullName);
});

test.each(answers.blocks)('block $blockNo of $plain', ({ blockNo, fileID, plain, sealed }) => {
  const out = Buffer.alloc(hex(plain).length + 32);
  const run = { firstBlock: blockNo, identity: { fileID: hex(fileID) }, plain: hex(plain) };
  expect(content.encryptBlocks(run, out)).toBe(out.length);
  expect(out.toString('hex')).toBe(sealed);
  expect(content.decryptBlock(blockNo, hex(fileID), out).toString('hex')).toBe(plain);
});

describe('whole files', () => {
  test.each(answers.files)('$patternLength bytes', (answer) => {
    const identity = identities.file({ path: hex(answer.path), counter: 0 });
    const plain = pattern(answer.patternLength);
    const blocks = Buffer.alloc(plain.length + Math.ceil(plain.length / 4096) * 32);
    content.encryptBlocks({ firstBlock: 0, identity, plain }, blocks);
    const header = plain.length === 0 ? [] : [packFileHeader(identity.fileID)];
    const file = Buffer.concat([...header, blocks]);
    expect(file.length).toBe(answer.cipherLength);
    expect(createHash('sha256').update(file).digest('hex')).toBe(answer.sha256);
  });
});

test.each(answers.sparseFiles)(
  'sparse file of $patternLength bytes, zeros from $zerosFrom to $zerosTo',
  async ({ path, patternLength, zerosFrom, zerosTo, sha256 }) => {
    const identity = identities.file({ path: hex(path), counter: 0 });
    const plain = new BytesFile(pattern(patternLength).fill(0, zerosFrom, zerosTo));
    const file = CipherFile.over({ plain, identity, isSparse: true }, content);
    const stored = await file.read(0, file.size);
    expect(createHash('sha256').update(stored).digest('hex')).toBe(sha256);
  },
);

test.each(answers.symlinks)('symlink $path to $plain', ({ path, plain, target }) => {
  const linkID = identities.linkID({ path: hex(path), counter: 0 });
  const encrypted = content.encryptTarget(linkID, hex(plain));
  expect(Buffer.from(encrypted).toString()).toBe(target);
  expect(encrypted.length).toBeLessThanOrEqual(4095);
  expect(Buffer.from(content.decryptTarget(encrypted)).toString('hex')).toBe(plain);
});

/** The values in the tables of FORMAT.md's section on test vectors, as they stand there. */
function quotedVectors(): readonly string[] {
  const format = readFileSync(new URL('../../FORMAT.md', import.meta.url), 'utf8');
  const section = format.split('## 13. Test vectors')[1] ?? '';
  return [...section.matchAll(/`([\w-]{22,})` *\|$/gm)].map(([, value]) => value ?? '');
}

/** Two rows about the seal follow those of layout gcm; conf-seal.test.ts computes their values. */
const SEAL_ROWS_END = 10;

test('the values FORMAT.md quotes for layout gcm are among them', () => {
  const quoted = quotedVectors().slice(0, 8);
  expect(quoted).toHaveLength(8);
  const known = JSON.stringify(answers);
  for (const value of quoted) expect(known).toContain(`"${value}"`);
});

test('the values FORMAT.md quotes for layout reverse are those of a stock reverse view', () => {
  const stock = new Map(stockFilesystems()).get('reverse');
  const conf = parseConf(Buffer.from(JSON.stringify(stock?.conf)));
  const reverse = openLayout(conf, hex(stock?.masterkey ?? ''), 'reverse');
  const at = (path: string) => ({ path: Buffer.from(path), counter: 0 });
  const rootIV = reverse.identities.dirIV(at(''));
  const nameOf = (name: string) =>
    Buffer.from(reverse.names.encryptName(Buffer.from(name), rootIV).name).toString();
  const { fileID, block0Nonce } = reverse.identities.file(at(nameOf('a')));
  const linkID = reverse.identities.linkID(at(nameOf('link')));
  const target = reverse.content.encryptTarget(linkID, Buffer.from('hello.txt'));
  const shown = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  expect(quotedVectors().slice(SEAL_ROWS_END)).toEqual([
    shown(rootIV),
    nameOf('a'),
    shown(fileID),
    shown(block0Nonce ?? new Uint8Array()),
    nameOf('link'),
    shown(linkID),
    Buffer.from(target).toString(),
  ]);
  // The copy that stock made of the same tree says the same.
  expect(Buffer.from(target).toString()).toBe(stock?.symlink?.disk);
  expect(stock?.files['a']?.hex).toContain(shown(fileID) + shown(block0Nonce ?? rootIV));
});
