/** Limits of how many bytes a second go to a peer, or come from it. */
import { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { TAKEN } from '../bytes/chunk-sink.ts';
import type { Connection, Remote } from './connection.ts';

/**
 * How many bytes a second may go to the peer, or come, from a time of day on (local time); not
 * empty, sorted.
 */
export type RatePlan = readonly {
  /** Minutes since midnight. */
  readonly fromMinute: number;
  /** 1024 or more; Infinity: as many as go. */
  readonly bytesPerSec: number;
}[];

/** So many parts a second: what is sent at once is short enough to be even. */
const PARTS_PER_SEC = 8;
const PART_BYTES_MAX = 262_144;
/** What waits here is not sent yet: little, so that whoever writes notices that it goes on. */
const BUFFER_BYTES = 65_536;

/** What measures time and lets it pass. */
export interface Clock {
  /** Of any origin; never goes back. */
  nowMs(): number;
  wait(timeMs: number): Promise<unknown>;
}

const SYSTEM_CLOCK: Clock = { nowMs: () => performance.now(), wait: (timeMs) => delay(timeMs) };

/**
 * What counts at a time of day: before the first time it is what counted last on the day before.
 */
export function rateAt(plan: RatePlan, date: Date): number {
  const minute = date.getHours() * 60 + date.getMinutes();
  const current = plan.findLast(({ fromMinute }) => fromMinute <= minute) ?? plan.at(-1);
  return current?.bytesPerSec ?? Infinity;
}

/**
 * One budget of bytes for everything that is sent to a peer, over all its connections. A part waits
 * until what was sent before it has had its time; nothing is saved up while nothing is sent.
 */
export class ByteBudget {
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

  /** Settles when these bytes may go. */
  async take(bytes: number): Promise<void> {
    const rate = rateAt(this.#plan, new Date());
    if (rate === Infinity) return;
    const nowMs = this.#clock.nowMs();
    const startMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = startMs + (bytes / rate) * 1000;
    if (startMs > nowMs) await this.#clock.wait(startMs - nowMs);
  }
}

/** A remote to which no more bytes a second are sent than a plan allows. */
export function throttled(remote: Remote, plan: RatePlan, clock = SYSTEM_CLOCK): Remote {
  const budget = new ByteBudget(plan, clock);
  return {
    shownName: remote.shownName,
    start: async (program, words) => slow(await remote.start(program, words), budget),
    startAhead: (program, words) => remote.startAhead?.(program, words),
    close: () => remote.close(),
  };
}

/**
 * A remote from which no more bytes a second are taken than a plan allows: it then waits with more.
 */
export function throttledReading(remote: Remote, plan: RatePlan, clock = SYSTEM_CLOCK): Remote {
  const budget = new ByteBudget(plan, clock);
  return {
    shownName: remote.shownName,
    start: async (program, words) => {
      const connection = await remote.start(program, words);
      return around(connection, { input: throttledInput(connection.input, budget) });
    },
    startAhead: (program, words) => remote.startAhead?.(program, words),
    close: () => remote.close(),
  };
}

function slow(connection: Connection, budget: ByteBudget): Connection {
  return around(connection, { output: throttledOutput(connection.output, budget) });
}

/** The connection with one of its streams in the place of its own. */
function around(
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
  // Told on by whoever reads; on its own it must not end the process.
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
  // Told on by whoever writes; on its own it must not end the process.
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
