// Goal: whatever a key file contains, reading it gives a key or a note, never another error.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { mutated } from '../../../campaign/mutate.ts';
import { readKeyFile } from '../../../src/transport/ssh/key-file.ts';
import { LoginMemory } from '../../../src/transport/ssh/memory.ts';
import { Random } from '../../support/random-tree.ts';
import { makeKey } from '../../support/sshd.ts';

function string(text: string | Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text as Buffer)]);
}

/** A file in the format openssh-key-v1 that claims a number of keys and has none. */
function keyFileOf(count: number): string {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(count);
  const bytes = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...[string('none'), string('none'), string(''), number],
    string(Buffer.alloc(8)),
  ]);
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

test.each([0, 1, 2 ** 32 - 1])('a key file that claims %i keys and has none', async (count) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'ecsync-key-'));
  try {
    const file = path.join(folder, 'key');
    await writeFile(file, keyFileOf(count), { mode: 0o600 });
    const notes: string[] = [];
    const key = await readKeyFile(file, true, {
      askPassphrase: undefined,
      memory: new LoginMemory(),
      note: (text) => notes.push(text),
    });
    expect(key).toBeUndefined();
    expect(notes).toEqual([expect.stringContaining(file)]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** The bytes of a key file in a new armour of the same kind. */
function rearmed(keyFile: string, change: (bytes: Buffer) => Buffer): string {
  return keyFile.replace(/(?<=-----\n)[^-]+(?=-----END)/, (text) => {
    return `${change(Buffer.from(text, 'base64')).toString('base64')}\n`;
  });
}

test.each(['ed25519', 'ecdsa', 'rsa'] as const)(
  'an %s key with changed bytes is a key, which may not sign, or a note',
  async (type) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'ecsync-key-'));
    try {
      const file = path.join(folder, 'key');
      await makeKey(file, { type });
      await rm(`${file}.pub`);
      const whole = await readFile(file, 'utf8');
      const random = new Random(7);
      const reading = {
        askPassphrase: undefined,
        memory: new LoginMemory(),
        note: () => undefined,
      };
      let keys = 0;
      for (let i = 0; i < 150; i++) {
        const text = rearmed(whole, (bytes) => mutated([bytes], random));
        await writeFile(file, text, { mode: 0o600 });
        const key = await readKeyFile(file, true, reading);
        expect([undefined, 'ssh-rsa', 'ssh-ed25519', 'ecdsa-sha2-nistp256']).toContain(
          key?.publicKey.type,
        );
        if (key?.sign === undefined) continue;
        keys++;
        await key.sign(Buffer.from('data'), 'sha512').catch(() => undefined);
      }
      expect(keys).toBeGreaterThan(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);

test('the first key of a file with two counts', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'ecsync-key-'));
  try {
    const file = path.join(folder, 'key');
    await makeKey(file);
    await rm(`${file}.pub`);
    const text = rearmed(await readFile(file, 'utf8'), twoKeys);
    await writeFile(file, text, { mode: 0o600 });
    const key = await readKeyFile(file, true, {
      askPassphrase: undefined,
      memory: new LoginMemory(),
      note: (note) => expect.fail(note),
    });
    expect(key?.publicKey.type).toBe('ssh-ed25519');
    expect(await key?.sign?.(Buffer.from('data'), undefined)).toHaveLength(64);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** The one key of an unencrypted openssh-key-v1 file twice. */
function twoKeys(bytes: Buffer): Buffer {
  let at = 15;
  const part = (): Buffer => {
    const length = bytes.readUInt32BE(at);
    at += 4 + length;
    return bytes.subarray(at - length, at);
  };
  const head = [part(), part(), part()].map((one) => string(one));
  at += 4;
  const publicKey = part();
  const secret = part();
  let end = 8;
  for (let i = 0; i < 4; i++) end += 4 + secret.readUInt32BE(end); // type, public, private, comment
  const one = secret.subarray(8, end);
  const both = Buffer.concat([secret.subarray(0, 8), one, one]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (both.length % 8)) % 8));
  return Buffer.concat([
    bytes.subarray(0, 15),
    ...head,
    Buffer.from([0, 0, 0, 2]),
    string(publicKey),
    string(publicKey),
    string(Buffer.concat([both, padding])),
  ]);
}
