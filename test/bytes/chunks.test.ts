// Goal: the two ends of a connection apply back-pressure, distinguish ends from failures, and never
// leave an error event of a stream unhandled.
import { PassThrough, Readable, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ChunkSink } from '../../src/bytes/chunk-sink.ts';
import { ChunkSource } from '../../src/bytes/chunk-source.ts';
import { ConnectionError, InterruptedError } from '../../src/errors.ts';

describe('ChunkSource', () => {
  it('delivers everything, then the end', async () => {
    const source = new ChunkSource(Readable.from([Buffer.from('ab'), Buffer.from('cd')]));
    let text = '';
    for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next()) {
      text += chunk.toString();
    }
    expect(text).toBe('abcd');
    expect(source.bytesRead).toBe(4);
  });

  it('reports a broken stream as a lost connection', async () => {
    const stream = new PassThrough();
    const source = new ChunkSource(stream);
    const next = source.next();
    stream.destroy(new Error('ECONNRESET'));
    await expect(next).rejects.toMatchObject({ code: 'connection-lost' });
    await expect(source.next()).rejects.toBeInstanceOf(ConnectionError);
  });

  it('treats a stream that was destroyed without an error as ended', async () => {
    const stream = new PassThrough();
    const source = new ChunkSource(stream);
    const next = source.next();
    stream.destroy();
    expect(await next).toBeUndefined();
  });

  it('stops waiting when told to fail', async () => {
    const source = new ChunkSource(new PassThrough());
    const next = source.next();
    source.fail(new InterruptedError('interrupted', 'interrupted'));
    await expect(next).rejects.toMatchObject({ code: 'interrupted' });
  });
});

describe('ChunkSink', () => {
  it('reports back-pressure and its end', async () => {
    const taken: (() => void)[] = [];
    const stream = new Writable({
      highWaterMark: 4,
      write(_chunk, _encoding, callback) {
        taken.push(callback);
      },
    });
    const sink = new ChunkSink(stream);
    sink.write(Buffer.from('12'));
    expect(sink.blocked).toBe(false);
    sink.write(Buffer.from('345'));
    expect(sink.blocked).toBe(true);
    const drained = sink.drained();
    taken.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    taken.shift()?.();
    await drained;
    expect(sink.blocked).toBe(false);
    expect(sink.bytesWritten).toBe(5);
  });

  it('drops chunks after a failure instead of blocking or throwing', async () => {
    const stream = new PassThrough({ highWaterMark: 1 });
    const sink = new ChunkSink(stream);
    sink.write(Buffer.from('x'));
    expect(sink.blocked).toBe(true);
    const drained = sink.drained();
    stream.destroy(new Error('EPIPE'));
    await drained;
    sink.write(Buffer.from('y'));
    expect(sink.failure).toMatchObject({ code: 'connection-lost' });
    expect(sink.bytesWritten).toBe(1);
  });
});
