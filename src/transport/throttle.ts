/** Limits the bytes per second sent to a peer or read from it. */
import { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { TAKEN } from '../bytes/chunk-sink.ts';
import type { Connection, Remote } from './connection.ts';

/**
 * Rate limits, each from a time of day on (local time). The list is sorted and not empty.
 */
export type RatePlan = readonly {
  /** Minutes since midnight. */
  readonly fromMinute: number;
  /** 1024 or more; Infinity means no limit. */
  readonly bytesPerSec: number;
}[];

/** Data is sent in this many parts per second, so that the rate is even. */
const PARTS_PER_SEC = 8;
const PART_BYTES_MAX = 262_144;
/**
 * Bytes buffered here are not sent yet. The buffer is small, so that the writer notices progress.
 */
const BUFFER_BYTES = 65_536;

/** Measures time and waits. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary origin. */
  nowMs(): number;
  wait(timeMs: number): Promise<unknown>;
}

const SYSTEM_CLOCK: Clock = { nowMs: () => performance.now(), wait: (timeMs) => delay(timeMs) };

/**
 * The rate at a time of day. Before the first time of the plan, its last entry still applies.
 */
export function rateAt(plan: RatePlan, date: Date): number {
  const minute = date.getHours() * 60 + date.getMinutes();
  const current = plan.findLast(({ fromMinute }) => fromMinute <= minute) ?? plan.at(-1);
  return current?.bytesPerSec ?? Infinity;
}

/**
 * One budget of bytes for all connections to a peer. A part waits until the time for the earlier
 * parts has passed; idle time saves up nothing.
 */
class ByteBudget {
  readonly #plan: RatePlan;
  readonly #clock: Clock;
  #freeAtMs = 0;

  constructor(plan: RatePlan, clock: Clock) {
    this.#plan = plan;
    this.#clock = clock;
  }

  /** Bytes to send as one part now. */
  get partBytes(): number {
    const rate = rateAt(this.#plan, new Date());
    return rate === Infinity
      ? Infinity
      : Math.max(1, Math.min(PART_BYTES_MAX, Math.floor(rate / PARTS_PER_SEC)));
  }

  /** Resolves when these bytes may be sent. */
  async take(bytes: number): Promise<void> {
    const rate = rateAt(this.#plan, new Date());
    if (rate === Infinity) return;
    const nowMs = this.#clock.nowMs();
    const startMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = startMs + (bytes / rate) * 1000;
    if (startMs > nowMs) await this.#clock.wait(startMs - nowMs);
  }
}

/** Wraps a remote so that sending keeps to the rates of a plan. */
export function throttled(remote: Remote, plan: RatePlan, clock = SYSTEM_CLOCK): Remote {
  const budget = new ByteBudget(plan, clock);
  return {
    shownName: remote.shownName,
    start: async (program, words) =>
      withThrottledOutput(await remote.start(program, words), budget),
    startAhead: (program, words) => remote.startAhead?.(program, words),
    close: () => remote.close(),
  };
}

/**
 * Wraps a remote so that reading keeps to the rates of a plan; back-pressure slows the peer down.
 */
export function throttledReading(remote: Remote, plan: RatePlan, clock = SYSTEM_CLOCK): Remote {
  const budget = new ByteBudget(plan, clock);
  return {
    shownName: remote.shownName,
    start: async (program, words) => {
      const connection = await remote.start(program, words);
      return withStreams(connection, { input: throttledInput(connection.input, budget) });
    },
    startAhead: (program, words) => remote.startAhead?.(program, words),
    close: () => remote.close(),
  };
}

function withThrottledOutput(connection: Connection, budget: ByteBudget): Connection {
  return withStreams(connection, { output: throttledOutput(connection.output, budget) });
}

/** The connection with one or both of its streams replaced. */
function withStreams(
  connection: Connection,
  streams: Partial<Pick<Connection, 'input' | 'output'>>,
): Connection {
  const { startedAhead, greeted } = connection;
  const { input = connection.input, output = connection.output } = streams;
  return {
    input,
    output,
    stderrText: () => connection.stderrText(),
    exited: connection.exited,
    ...(startedAhead !== undefined && { startedAhead }),
    ...(greeted && { greeted }),
    ...('addErrorText' in connection && {
      addErrorText: (text) => connection.addErrorText?.(text),
    }),
    destroy: () => {
      connection.destroy();
      input.destroy();
      output.destroy();
    },
  };
}

function throttledInput(source: Readable, budget: ByteBudget): Readable {
  const parts = partsOf(source, budget);
  const input = Readable.from(parts, { objectMode: false, highWaterMark: BUFFER_BYTES });
  // The reader handles the error; without one it must not crash the process.
  input.on('error', () => undefined);
  return input;
}

async function* partsOf(source: Readable, budget: ByteBudget): AsyncGenerator<Buffer> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + Math.min(chunk.length, budget.partBytes));
      await budget.take(part.length);
      yield part;
      at += part.length;
    }
  }
}

function throttledOutput(sink: Writable, budget: ByteBudget): Writable {
  const output = new Writable({
    highWaterMark: BUFFER_BYTES,
    write(chunk: Buffer, _encoding, done) {
      const onTaken = (bytes: number): void => void output.emit(TAKEN, bytes);
      writeParts(sink, chunk, { budget, onTaken }).then(() => done(), done);
    },
    final(done) {
      sink.end(() => done());
    },
    destroy(error, done) {
      sink.destroy();
      done(error);
    },
  });
  // The writer handles the error; without one it must not crash the process.
  output.on('error', () => undefined);
  sink.on('error', (error) => output.destroy(error));
  return output;
}

async function writeParts(
  sink: Writable,
  chunk: Buffer,
  { budget, onTaken }: { readonly budget: ByteBudget; readonly onTaken: (bytes: number) => void },
): Promise<void> {
  for (let at = 0; at < chunk.length;) {
    const part = chunk.subarray(at, at + Math.min(chunk.length, budget.partBytes));
    await budget.take(part.length);
    await new Promise<void>((resolve, reject) => {
      sink.write(part, (error) => (error ? reject(error) : resolve()));
    });
    onTaken(part.length);
    at += part.length;
  }
}
