import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ChunkSource } from '../../../src/bytes/chunk-source.ts';
import { ProtocolError } from '../../../src/errors.ts';
import { MultiplexReader } from '../../../src/rsync/wire/multiplex.ts';

// One direction of a conversation: frames, and the bytes after the last frame.

const MSG_DATA = 0;
const MSG_WARNING = 4;

function frame(code: number, text: string): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(((7 + code) << 24) | text.length, 0);
  return Buffer.concat([header, Buffer.from(text)]);
}

interface Opened {
  readonly reader: MultiplexReader;
  readonly messages: string[];
}

/** A reader of these bytes, which arrive in pieces of the given length. */
function open(bytes: Buffer, pieceLength: number): Opened {
  const input = new PassThrough();
  for (let at = 0; at < bytes.length; at += pieceLength) {
    input.write(bytes.subarray(at, at + pieceLength));
  }
  input.end();
  const messages: string[] = [];
  const reader = new MultiplexReader(new ChunkSource(input), (_code, payload) => {
    messages.push(payload.toString());
  });
  reader.startMultiplex();
  return { reader, messages };
}

const read = (reader: MultiplexReader, length: number): Promise<string> =>
  reader.read((bytes) => bytes.bytes(length).toString());

const NOISE = ['fish is now exiting\n', 'x', '\n', '\0\0\0\0', 'bye\x07'];
const conversation = (noise: string): Buffer =>
  Buffer.concat([
    frame(MSG_DATA, 'good'),
    frame(MSG_DATA, 'bye'),
    frame(MSG_WARNING, 'some files were skipped'),
    Buffer.from(noise),
  ]);

describe.each([1, 3, 10_000])('MultiplexReader, in pieces of %i bytes', (pieceLength) => {
  it.each(NOISE)('drops output of the login shell after the goodbye: %j', async (noise) => {
    const { reader, messages } = open(conversation(noise), pieceLength);
    expect(await read(reader, 7)).toBe('goodbye');
    await reader.drain();
    expect(messages).toEqual(['some files were skipped']);
  });

  it('delivers frames before a broken one, then refuses that one', async () => {
    const { reader } = open(conversation('fish is now exiting\n'), pieceLength);
    expect(await read(reader, 7)).toBe('goodbye');
    const beyond = read(reader, 1);
    await expect(beyond).rejects.toBeInstanceOf(ProtocolError);
    await expect(beyond).rejects.toMatchObject({ code: 'frame-too-long' });
  });
});

describe('MultiplexReader', () => {
  it('does not read such output endlessly', async () => {
    const { reader } = open(conversation('noise '.repeat(20_000)), 10_000);
    await read(reader, 7);
    await expect(reader.drain()).rejects.toMatchObject({ code: 'data-after-end' });
  });
});
