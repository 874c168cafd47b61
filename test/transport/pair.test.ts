// Goal: two ends in one process behave like a connection: bytes in order, back-pressure, an end,
// and no hang when one side disconnects. Method: streams against streams.
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../src/transport/pair.ts';

describe('duplexPair()', () => {
  it('carries bytes both ways and ends each direction separately', async () => {
    const [near, far] = duplexPair();
    near.output.write('to ');
    near.output.end('far');
    far.output.end('to near');
    const text = async (stream: AsyncIterable<Buffer>): Promise<string> => {
      const parts: Buffer[] = [];
      for await (const part of stream) parts.push(part);
      return Buffer.concat(parts).toString();
    };
    expect(await text(far.input)).toBe('to far');
    expect(await text(near.input)).toBe('to near');
  });

  it('applies back-pressure until the other end reads', async () => {
    const [near, far] = duplexPair();
    const chunk = Buffer.alloc(64 * 1024);
    let written = 0;
    while (near.output.write(chunk)) written += chunk.length;
    expect(written).toBeLessThan(4 * 1024 * 1024);
    const drained = once(near.output, 'drain');
    far.input.resume();
    await drained;
    near.output.end();
    await once(far.input, 'end');
  });

  it('closes the other end when one is destroyed', async () => {
    const [near, far] = duplexPair();
    const closed = once(far.input, 'close');
    near.output.destroy();
    await closed;
    expect(far.input.readableEnded).toBe(false);
  });
});
