/** The codec of tokens: literal data, block matches and the end of a file. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { ProtocolError } from '../../errors.ts';
import { LITERAL_LENGTH_MAX } from './limits.ts';

/*
 * The content of a file, a sequence of int32:
 *
 *   t > 0   t bytes of literal data follow
 *   t < 0   copy block −(t+1) of the basis
 *   t = 0   end; the file's strong sum follows
 *
 * @see rsync token.c simple_send_token, simple_recv_token (3.5.0)
 */

/** Writes literal data, split into runs of the longest allowed length. */
export function writeLiteral(sink: ByteSink, data: Uint8Array): void {
  for (let offset = 0; offset < data.length; offset += LITERAL_LENGTH_MAX) {
    const run = data.subarray(offset, offset + LITERAL_LENGTH_MAX);
    sink.int32(run.length);
    sink.bytes(run);
  }
}

/** @param index - of the block, 0 … 2^31−1 */
export function writeBlockMatch(sink: ByteSink, index: number): void {
  sink.int32(-(index + 1));
}

export function writeTokensEnd(sink: ByteSink): void {
  sink.int32(0);
}

export type Token =
  | { readonly kind: 'literal'; readonly length: number }
  | { readonly kind: 'block'; readonly index: number }
  | { readonly kind: 'end' };

const END: Token = { kind: 'end' };

/**
 * Reads one token; the bytes of a literal are left for the caller to read.
 *
 * @param blockCount - blocks of the basis
 * @throws {ProtocolError} `block-out-of-range` — a block that the basis does not have
 */
export function readToken(reader: ByteReader, blockCount: number): Token {
  const token = reader.int32();
  if (token === 0) return END;
  if (token > 0) return { kind: 'literal', length: token };
  const index = -(token + 1);
  if (index >= blockCount) {
    throw new ProtocolError(
      'block-out-of-range',
      `the peer copies block ${index} of a basis with ${blockCount} blocks`,
    );
  }
  return { kind: 'block', index };
}
