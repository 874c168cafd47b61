// Stock gocryptfs mounts what we write with each cipher, finds it clean, and shows the source.
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { CipherBackend } from '../../src/gocryptfs/cipher/cipher-backend.ts';
import { serialiseConf } from '../../src/gocryptfs/conf/config.ts';
import { packFileHeader } from '../../src/gocryptfs/format/file-header.ts';
import { createConf } from '../../src/gocryptfs/conf/keys.ts';
import { openLayout } from '../../src/gocryptfs/layout.ts';
import { plainSizeToCipherSize } from '../../src/gocryptfs/format/sizes.ts';
import { pattern } from '../support/format-fixtures.ts';
import { fsckStock, mountStock } from '../support/stock-gocryptfs.ts';
import { BACKENDS } from './support.ts';

const work = mkdtempSync(path.join(tmpdir(), 'ecsync-stock-reads-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const SIZES = [0, 1, 4095, 4096, 4097, 20000];
const PASSWORD = 'correct horse';

const LAYOUTS = [
  { layout: 'gcm' },
  { layout: 'gcm', plaintextNames: true },
  { layout: 'reverse' },
  { layout: 'reverse', deterministicNames: true },
  { layout: 'xchacha' },
  { layout: 'xchacha', longNameMax: 62 },
] as const;

/** Writes a cipher folder without the view: files, a symlink, an attribute. */
async function write(cipherDir: string, choice: (typeof LAYOUTS)[number], backend: CipherBackend) {
  const settings = { creator: 'ecsync test', password: Buffer.from(PASSWORD), scryptLogN: 10 };
  const { conf, masterkey } = await createConf({ ...settings, layout: choice });
  const derivation = choice.layout === 'reverse' ? 'reverse' : 'keyed';
  const layout = openLayout(conf, masterkey, derivation, backend);
  const { names, content, identities, xattrs } = layout;
  const at = (name: string) => ({ path: Buffer.from(name), counter: 0 });
  writeFileSync(path.join(cipherDir, 'gocryptfs.conf'), serialiseConf(conf));
  const dirIV = names.hasDirIVs ? identities.dirIV(at('')) : Buffer.alloc(16);
  if (names.hasDirIVs) writeFileSync(path.join(cipherDir, 'gocryptfs.diriv'), dirIV);
  const place = (plainName: string) => {
    const { name, fullName } = names.encryptName(Buffer.from(plainName), dirIV);
    const cipherPath = path.join(cipherDir, Buffer.from(name).toString());
    if (fullName !== undefined) writeFileSync(`${cipherPath}.name`, fullName);
    return cipherPath;
  };
  for (const size of SIZES) {
    const plainName = `${'n'.repeat(size % 200)}${size}`;
    const identity = identities.file(at(plainName));
    const file = Buffer.alloc(plainSizeToCipherSize(size, content.overhead));
    if (size > 0) {
      file.set(packFileHeader(identity.fileID));
      content.encryptBlocks({ firstBlock: 0, identity, plain: pattern(size) }, file.subarray(18));
    }
    writeFileSync(place(plainName), file);
  }
  const target = content.encryptTarget(identities.linkID(at('link')), Buffer.from('to/nowhere'));
  symlinkSync(Buffer.from(target), place('link'));
  const plain = { name: Buffer.from('user.comment'), value: Buffer.from('a remark') };
  const stored = Buffer.from(xattrs.encryptXattrName(plain.name)).toString();
  const sealed = xattrs.encryptXattrValue({ ...plain, object: Buffer.alloc(16, 1) });
  const value = `0x${Buffer.from(sealed).toString('hex')}`;
  execFileSync('setfattr', ['-n', stored, '-v', value, place('n1')]);
}

const cases = BACKENDS.flatMap(([name, backend]) =>
  LAYOUTS.map((choice) => [JSON.stringify(choice), name, choice, backend] as const),
);

test.each(cases)('stock reads %s from the %s backend', async (_, __, choice, backend) => {
  const folder = mkdtempSync(path.join(work, 'case-'));
  const [cipherDir, mountPoint] = [path.join(folder, 'cipher'), path.join(folder, 'plain')];
  mkdirSync(cipherDir);
  mkdirSync(mountPoint);
  const passfile = { path: path.join(folder, 'password'), password: PASSWORD };
  await write(cipherDir, choice, backend);
  const mount = await mountStock(cipherDir, mountPoint, passfile);
  try {
    for (const size of SIZES) {
      const read = readFileSync(path.join(mountPoint, `${'n'.repeat(size % 200)}${size}`));
      expect(read.equals(pattern(size)), `${size} bytes`).toBe(true);
    }
    expect(readlinkSync(path.join(mountPoint, 'link'))).toBe('to/nowhere');
    const words = ['--only-values', '--absolute-names', '-n', 'user.comment'];
    const remark = execFileSync('getfattr', [...words, path.join(mountPoint, 'n1')]);
    expect(remark.toString()).toBe('a remark');
  } finally {
    await mount.unmount();
  }
  expect(await fsckStock(cipherDir, passfile.path)).toMatchObject({ code: 0 });
});
