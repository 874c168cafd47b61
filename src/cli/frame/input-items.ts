/** Splits standard input into items with a given terminator byte. */
import { UsageError } from '../../errors.ts';

/** Longer than any path on any system. */
const ITEM_LENGTH_MAX = 1024 * 1024;

/**
 * Splits a stream into items with a terminator byte, which the last item may lack.
 *
 * @param end - 0x0a for lines, 0x00 for NUL-terminated items
 * @throws {UsageError} `input-too-long` — one item of more than 1 MiB
 */
export async function* readItems(
  stream: AsyncIterable<unknown>,
  end: number,
): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    let rest = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    for (let at = rest.indexOf(end); at !== -1; at = rest.indexOf(end)) {
      yield Buffer.concat([...parts, rest.subarray(0, at)]);
      parts = [];
      length = 0;
      rest = rest.subarray(at + 1);
    }
    length += rest.length;
    if (length > ITEM_LENGTH_MAX) {
      throw new UsageError('input-too-long', 'standard input holds a line of more than 1 MiB', {
        hint: 'Give one path a line.',
      });
    }
    if (rest.length > 0) parts.push(Buffer.from(rest));
  }
  if (length > 0) yield Buffer.concat(parts);
}
