/** One command on a channel of an ssh connection. */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { ConnectionError } from '../../errors.ts';
import {
  destroyStreams,
  endedLocally,
  relayInput,
  relayOutput,
  StderrTail,
} from '../command-streams.ts';
import type { Connection, ExitStatus } from '../connection.ts';

/**
 * More unread bytes than this mean that the server ignores its window (2 MiB): we disconnect before
 * it fills the memory.
 */
const UNREAD_BYTES_MAX = 8 * 1024 * 1024;

/** A command on one channel of an ssh connection. */
export class ChannelConnection implements Connection {
  readonly input: Readable;
  readonly output: Writable;
  readonly exited: Promise<ExitStatus>;
  startedAhead = false;
  /** We ended the command before it was complete. */
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
    // An awaiting caller gets the error; without one it must not be an unhandled rejection.
    this.exited.catch(() => undefined);
    holdWindow(channel);
    const input = relayInput(channel, () => {
      if (!this.#ended) input.push(null);
    });
    this.input = input;
    this.output = relayOutput(corked(channel, socket), (cause) => this.#endedError(cause));
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

  /** True if the server has sent all output and the exit status. */
  get isComplete(): boolean {
    const { state } = (this.#channel as unknown as ChannelState).incoming;
    return state === 'closed' || (state === 'eof' && this.#status !== undefined);
  }

  /** True if the server has sent more than its window allows. */
  get isFlooded(): boolean {
    const { readableLength, stderr } = this.#channel as ClientChannel & { stderr: Readable };
    return readableLength + stderr.readableLength > UNREAD_BYTES_MAX;
  }

  /** Fails the command because its connection broke: unread bytes are no longer reliable. */
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
    this.#channel.signal('TERM'); // some servers ignore it; closing the channel ends rsync too
    this.#channel.destroy();
    this.#channel.resume();
    destroyStreams(this.input, this.output, endedLocally(this.#shownName));
  }

  #onClose(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.output.writableFinished) this.output.destroy(this.#endedError(undefined));
    if (!this.input.destroyed) this.input.push(null);
    if (this.#status === undefined) {
      this.#fail(
        new ConnectionError(
          'connection-lost',
          `${this.#shownName}: the server closed the command without an exit status`,
          { hint: 'Run again to continue.' },
        ),
      );
    } else {
      this.#settle(this.#status);
    }
  }

  #endedError(cause: Error | null | undefined): ConnectionError {
    return new ConnectionError(
      'command-ended',
      `${this.#shownName}: the program on the server has ended`,
      { hint: 'Run the same command again to continue.', cause },
    );
  }
}

/** State of an ssh2 channel that its typings do not declare. */
interface ChannelState {
  readonly incoming: { readonly state: 'open' | 'eof' | 'closed' };
}

/**
 * Output and standard error of a channel share one window. ssh2 would renew it for every byte of
 * standard error even while nobody reads the output, whose buffer would then grow without bound.
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

/**
 * Corks the socket on each write: ssh2 sends a packet in three small writes, now one system call.
 */
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

/** Holds back small writes until the current work is done. */
export function corkForNow(socket: Duplex): void {
  socket.cork();
  process.nextTick(() => {
    socket.uncork();
  });
}
