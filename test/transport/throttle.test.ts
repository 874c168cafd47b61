import { PassThrough, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Connection, Remote } from '../../src/transport/connection.ts';
import {
  rateAt,
  throttled,
  throttledReading,
  type RatePlan,
} from '../../src/transport/throttle.ts';

// With a limit of bytes per second, data arrives complete and in order, and no faster.

function remoteInto(output: Writable, changes: Partial<Connection> = {}): Remote {
  const connection: Connection = {
    input: new PassThrough(),
    output,
    stderrText: () => 'said',
    exited: Promise.resolve({ code: 0, signal: null }),
    destroy: () => output.destroy(),
    ...changes,
  };
  return {
    shownName: 'x',
    start: () => Promise.resolve(connection),
    close: () => Promise.resolve(),
  };
}

function collector(): { readonly sink: Writable; readonly bytes: () => Buffer } {
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(Buffer.from(chunk));
      setImmediate(done);
    },
  });
  return { sink, bytes: () => Buffer.concat(chunks) };
}

const at = (bytesPerSec: number): RatePlan => [{ fromMinute: 0, bytesPerSec }];

describe('a limited connection', () => {
  it('passes on every byte in order, and the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 20 }),
        fc.constantFrom(1_000_000, 50_000_000, Infinity),
        async (chunks, rate) => {
          const { sink, bytes } = collector();
          const { output } = await throttled(remoteInto(sink), at(rate)).start('rsync', []);
          for (const chunk of chunks) output.write(chunk);
          output.end();
          await Promise.all([finished(output), finished(sink)]);
          expect(bytes()).toEqual(Buffer.concat(chunks));
        },
      ),
      { numRuns: 25 },
    );
  });

  it('is never faster than its rate, over all connections together', async () => {
    const sinks = [collector(), collector()];
    const remotes = sinks.map(({ sink }) => remoteInto(sink));
    let next = 0;
    const both: Remote = {
      shownName: 'x',
      start: (program, words) =>
        (remotes[next++] ?? remoteInto(new PassThrough())).start(program, words),
      close: () => Promise.resolve(),
    };
    // Time stands still: each part has to wait for all earlier parts of both connections.
    const waits: number[] = [];
    const wait = (timeMs: number): Promise<void> => {
      waits.push(timeMs);
      return Promise.resolve();
    };
    const remote = throttled(both, at(20_000), { nowMs: () => 0, wait });
    const outputs = await Promise.all([remote.start('rsync', []), remote.start('rsync', [])]);
    for (const { output } of outputs) output.end(Buffer.alloc(10_000));
    await Promise.all(outputs.map(({ output }) => finished(output)));
    expect(sinks.map(({ bytes }) => bytes().length)).toEqual([10_000, 10_000]);
    expect(waits).toEqual([125, 250, 375, 500, 625, 750, 875]);
  });

  it('reports to the writer that the peer is gone', async () => {
    const sink = new Writable({ write: (_chunk, _encoding, done) => done(new Error('gone')) });
    const { output } = await throttled(remoteInto(sink), at(1_000_000)).start('rsync', []);
    output.write('x');
    await expect(finished(output)).rejects.toThrow('gone');
  });

  it('reads in order, no faster than allowed, and reports a failure', async () => {
    const waits: number[] = [];
    const clock = { nowMs: () => 0, wait: (timeMs: number) => Promise.resolve(waits.push(timeMs)) };
    const input = new PassThrough();
    const remote = remoteInto(collector().sink, { input });
    const { input: slow } = await throttledReading(remote, at(8192), clock).start('rsync', []);
    const sent = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251));
    input.end(sent);
    expect(Buffer.concat(await slow.toArray())).toEqual(sent);
    // Parts of an eighth of a second: each but the first waits for the earlier ones.
    expect(waits).toEqual([125, 250, 375, 500]);
    const broken = new PassThrough();
    const other = await throttledReading(
      remoteInto(collector().sink, { input: broken }),
      at(8192),
      clock,
    ).start('rsync', []);
    broken.destroy(new Error('lost'));
    await expect(other.input.toArray()).rejects.toThrow('lost');
  });

  it('keeps the other members of a connection', async () => {
    const heard: string[] = [];
    const facts = { startedAhead: true, greeted: { protocol: 31 } };
    const remote = remoteInto(collector().sink, {
      ...facts,
      addErrorText: (text) => void heard.push(text),
    });
    const connection = await throttled(remote, at(1024)).start('rsync', []);
    connection.addErrorText?.('word');
    expect(connection).toMatchObject(facts);
    expect(heard).toEqual(['word']);
    expect(connection.stderrText()).toBe('said');
    const plain = await throttled(remoteInto(collector().sink), at(1024)).start('rsync', []);
    expect('addErrorText' in plain).toBe(false);
  });
});

describe('rateAt()', () => {
  const plan: RatePlan = [
    { fromMinute: 8 * 60, bytesPerSec: 1024 },
    { fromMinute: 22 * 60 + 30, bytesPerSec: Infinity },
  ];
  it.each([
    ['00:00', Infinity],
    ['07:59', Infinity],
    ['08:00', 1024],
    ['22:29', 1024],
    ['22:30', Infinity],
  ])('at %s', (time, rate) => {
    expect(rateAt(plan, new Date(`2026-11-20T${time}:00`))).toBe(rate);
  });
});
