// A scripted rsync server: says exactly the bytes a test tells it to, and keeps what it hears.
import { Duplex } from 'node:stream';
import { ByteWriter } from '../../src/bytes/byte-writer.ts';
import {
  CF_AVOID_XATTR_OPTIM,
  CF_CHKSUM_SEED_FIX,
  CF_ID0_NAMES,
  CF_SAFE_FLIST,
  CF_VARINT_FLIST_FLAGS,
} from '../../src/rsync/wire/constants.ts';
import { writeVarint, writeVstring } from '../../src/rsync/wire/integers.ts';
import { NdxWriter } from '../../src/rsync/wire/ndx.ts';

export const FAKE_COMPAT_FLAGS =
  CF_SAFE_FLIST | CF_AVOID_XATTR_OPTIM | CF_CHKSUM_SEED_FIX | CF_VARINT_FLIST_FLAGS | CF_ID0_NAMES;

/** One connection whose far end is a script. */
export class FakePeer {
  readonly input: Duplex;
  readonly output: Duplex;
  /** Everything the sender wrote. */
  readonly heard: Buffer[] = [];
  heardBytes = 0;

  constructor() {
    const stream = new Duplex({
      allowHalfOpen: true,
      read: () => undefined,
      write: (chunk: Buffer, _encoding, callback) => {
        this.heard.push(chunk);
        this.heardBytes += chunk.length;
        callback();
      },
    });
    this.input = stream;
    this.output = stream;
  }

  say(bytes: Uint8Array): this {
    this.input.push(bytes);
    return this;
  }

  /** Says it in pieces of the given length. */
  sayInPieces(bytes: Uint8Array, length: number): this {
    for (let i = 0; i < bytes.length; i += length) this.say(bytes.subarray(i, i + length));
    return this;
  }

  close(): this {
    this.input.push(null);
    return this;
  }
}

/** Bytes from a list of encoders. */
export function bytesOf(...parts: ((writer: ByteWriter) => void)[]): Buffer {
  const writer = new ByteWriter();
  for (const part of parts) part(writer);
  return writer.copy();
}

/** A server's side of the handshake. */
export function greeting(protocol = 32, flags = FAKE_COMPAT_FLAGS, names = 'xxh128 md5'): Buffer {
  return bytesOf((writer) => {
    writer.int32(protocol);
    if (protocol >= 30) writeVarint(writer, flags);
    if (protocol >= 30 && flags & CF_VARINT_FLIST_FLAGS) writeVstring(writer, Buffer.from(names));
    writer.int32(7);
  });
}

/** A frame; code 0 is data. */
export function frame(code: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE((code + 7) * 0x1000000 + payload.length, 0);
  return Buffer.concat([header, payload]);
}

/** Records of a generator, with the state their indexes need. */
export class Generator {
  readonly #ndx: NdxWriter;
  readonly #protocol: number;

  constructor(protocol = 32) {
    this.#ndx = new NdxWriter(protocol);
    this.#protocol = protocol;
  }

  ndx(value: number): Buffer {
    return bytesOf((writer) => this.#ndx.write(writer, value));
  }

  done(): Buffer {
    return this.ndx(-1);
  }

  item(ndx: number, iflags: number, ...more: Uint8Array[]): Buffer {
    const flags = bytesOf((writer) => writer.uint16(iflags));
    return Buffer.concat([this.ndx(ndx), ...(this.#protocol >= 29 ? [flags] : []), ...more]);
  }

  /** A request for a file. */
  want(ndx: number, head = sumHead(0, 0, 0, 0), sums: Uint8Array = Buffer.alloc(0)): Buffer {
    return this.item(ndx, 0xa000, head, sums);
  }
}

export function sumHead(
  count: number,
  blockLength: number,
  s2length: number,
  remainder: number,
): Buffer {
  return bytesOf((writer) => {
    for (const value of [count, blockLength, s2length, remainder]) writer.int32(value);
  });
}
