/** One command on a channel of an ssh connection. */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { ConnectionError } from '../../errors.ts';
import {
  destroyStreams,
  endedHere,
  relayInput,
  relayOutput,
  StderrTail,
} from '../command-streams.ts';
import type { Connection, ExitStatus } from '../connection.ts';

/**
 * More than this unread means that the server ignores the window it was granted (2 MiB): it is cut
 * off before it fills the memory.
 */
const UNREAD_BYTES_MAX = 8 * 1024 * 1024;

/** A command on one channel of an ssh connection. */
export class ChannelConnection implements Connection {
  readonly input: Readable;
  readonly output: Writable;
  readonly exited: Promise<ExitStatus>;
  startedAhead = false;
  /** It was ended from here before it came to its end. */
  isAbandoned = false;
  readonly #channel: ClientChannel;
  readonly #stderr = new StderrTail();
  readonly #shownName: string;
  readonly #fail: (error: ConnectionError) => void;
  readonly #settle: (status: ExitStatus) => void;
  #status: ExitStatus | undefined;
  #ended = false;

  constructor(channel: ClientChannel, socket: Duplex, shownName: string) {
    this.#channel = channel;
    this.#shownName = shownName;
    let settle: (status: ExitStatus) => void = () => undefined;
    let fail: (error: ConnectionError) => void = () => undefined;
    this.exited = new Promise((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    this.#settle = settle;
    this.#fail = fail;
    // Who awaits it gets the error; who does not must not be ended by it.
    this.exited.catch(() => undefined);
    holdWindow(channel);
    const input = relayInput(channel, () => {
      if (!this.#ended) input.push(null);
    });
    this.input = input;
    this.output = relayOutput(corked(channel, socket), (cause) => this.#gone(cause));
    channel.stderr.on('data', (chunk: Buffer) => {
      this.#stderr.add(chunk);
    });
    channel.stderr.on('error', () => undefined);
    channel.on('exit', (code: number | null, signal?: string) => {
      this.#status = { code, signal: signal ?? null };
    });
    channel.once('close', () => {
      this.#onClose();
    });
    input.once('close', () => {
      if (!input.readableEnded) this.destroy();
    });
  }

  stderrText(): string {
    return this.#stderr.text();
  }

  /** True when the server said how the command ended and sent everything before. */
  get isComplete(): boolean {
    const { state } = (this.#channel as unknown as ChannelState).incoming;
    return state === 'closed' || (state === 'eof' && this.#status !== undefined);
  }

  /** @returns true when the server sent more than it was allowed to */
  get isFlooded(): boolean {
    const { readableLength, stderr } = this.#channel as ClientChannel & { stderr: Readable };
    return readableLength + stderr.readableLength > UNREAD_BYTES_MAX;
  }

  /** The connection under the channel broke: whatever was not yet read is not to be trusted. */
  lose(error: ConnectionError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#fail(error);
    destroyStreams(this.input, this.output, error);
  }

  destroy(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.isAbandoned = !this.isComplete;
    this.#settle(this.#status ?? { code: null, signal: null });
    this.#channel.signal('TERM'); // not every server obeys; a closed channel ends rsync as well
    this.#channel.destroy();
    this.#channel.resume();
    destroyStreams(this.input, this.output, endedHere(this.#shownName));
  }

  #onClose(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.output.writableFinished) this.output.destroy(this.#gone(undefined));
    if (!this.input.destroyed) this.input.push(null);
    if (this.#status === undefined) {
      this.#fail(
        new ConnectionError(
          'connection-lost',
          `${this.#shownName}: the server ended the command without a word`,
          { hint: 'Run again to continue.' },
        ),
      );
    } else {
      this.#settle(this.#status);
    }
  }

  #gone(cause: Error | null | undefined): ConnectionError {
    return new ConnectionError(
      'command-ended',
      `${this.#shownName}: the program on the server has ended`,
      {
        cause,
      },
    );
  }
}

/** What ssh2 knows of a channel but does not declare. */
interface ChannelState {
  readonly incoming: { readonly state: 'open' | 'eof' | 'closed' };
}

/**
 * Output and standard error of a channel share one window. ssh2 would renew it for every byte on
 * standard error, even while nobody reads the output, whose buffer then grows without end.
 */
function holdWindow(channel: ClientChannel): void {
  const stderr = channel.stderr;
  const isFull = (): boolean => channel.readableLength >= channel.readableHighWaterMark;
  const push = stderr.push.bind(stderr);
  const read = stderr._read.bind(stderr);
  stderr.push = (chunk: unknown) => push(chunk) && !isFull();
  stderr._read = (size) => {
    if (!isFull()) read(size);
  };
}

/** ssh2 sends each packet in three small writes; together they cost one system call. */
function corked(channel: ClientChannel, socket: Duplex): Writable {
  const write = channel.write.bind(channel) as (
    chunk: Buffer,
    done: (error?: Error | null) => void,
  ) => boolean;
  channel.write = ((chunk: Buffer, done: (error?: Error | null) => void) => {
    corkForNow(socket);
    return write(chunk, done);
  }) as typeof channel.write;
  return channel;
}

/** Holds small writes back until the work at hand is done. */
export function corkForNow(socket: Duplex): void {
  socket.cork();
  process.nextTick(() => {
    socket.uncork();
  });
}
