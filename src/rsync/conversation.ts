import { ChunkSink } from '../bytes/chunk-sink.ts';
import { ChunkSource } from '../bytes/chunk-source.ts';
import { ConnectionError, InterruptedError, ProtocolError, RemoteError } from '../errors.ts';
import { MSG_ERROR_EXIT } from './constants.ts';
import { MultiplexReader, MultiplexWriter } from './multiplex.ts';
import type { Peer } from './peer.ts';
import { errorExit, PeerMessages, type MessageListener } from './peer-messages.ts';

/** How the conversation is watched. */
export interface ConversationOptions {
  /** Give up after so long without a byte in either direction. */
  readonly idleTimeoutMs?: number | undefined;
  /** The server's own `--timeout`: it hears from us about three times in that time. */
  readonly timeoutSec?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const WATCH_INTERVAL_MS_MAX = 1000;
const BUSY_INTERVAL_MS = 20;
/** After we have given up: how long the peer may take to say why and to close. */
const FAREWELL_MS = 2000;
/** Exit codes we send when we give up: for an error of the protocol, and as if by a signal. */
const EXIT_PROTOCOL = 2;
const EXIT_INTERRUPTED = 20;

/**
 * One connection while rsync is spoken on it: the framed streams, the peer's messages, and a
 * watchdog for idle time, keep-alives and interruption. The first failure wins and wakes everybody.
 */
export class Conversation {
  readonly reader: MultiplexReader;
  readonly writer: MultiplexWriter;
  readonly messages: PeerMessages;
  readonly #source: ChunkSource;
  readonly #sink: ChunkSink;
  readonly #options: ConversationOptions;
  readonly #watch: NodeJS.Timeout;
  readonly #onFailure: ((error: Error) => void)[] = [];
  readonly #onAbort = (): void => this.#interrupted();
  #idleTimeoutMs: number;
  #keepAliveMs: number;
  /** Last sign of life of our own that is not a keep-alive. */
  #busyMs = performance.now();
  /** When the last keep-alive was sent. */
  #keptAliveMs = 0;
  #protocol = 0;
  #saidFarewell = false;
  #failure: Error | undefined;

  constructor(
    peer: Peer,
    listener: Pick<MessageListener, 'onMessage'> &
      Partial<Pick<MessageListener, 'onDeleted' | 'onNoSend'>>,
    options: ConversationOptions,
  ) {
    this.#options = options;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? Number.POSITIVE_INFINITY;
    const timeoutMs = (options.timeoutSec ?? 0) * 1000 || this.#idleTimeoutMs;
    this.#keepAliveMs = timeoutMs / 3;
    this.#source = new ChunkSource(peer.input);
    this.#sink = new ChunkSink(peer.output);
    this.messages = new PeerMessages({
      onMessage: (level, text) => {
        if (level !== 'info') peer.hearError?.(text);
        listener.onMessage(level, text);
      },
      onDeleted: (path, isDirectory) => listener.onDeleted?.(path, isDirectory),
      onNoSend: (ndx) => listener.onNoSend?.(ndx),
      onTimeout: (timeoutSec) => this.#shortenPatience(timeoutSec),
      onErrorExit: (exitCode) => this.#answerErrorExit(exitCode),
    });
    this.reader = new MultiplexReader(this.#source, (code, payload) => {
      this.messages.handle(code, payload);
    });
    this.writer = new MultiplexWriter(this.#sink);
    const interval = Math.min(this.#idleTimeoutMs, this.#keepAliveMs) / 4;
    this.#watch = setInterval(
      () => this.#look(),
      Math.max(10, Math.min(interval, WATCH_INTERVAL_MS_MAX)),
    );
    options.signal?.addEventListener('abort', this.#onAbort);
    if (options.signal?.aborted === true) this.#interrupted();
  }

  get bytesSent(): number {
    return this.#sink.bytesWritten;
  }

  get bytesReceived(): number {
    return this.#source.bytesRead;
  }

  /** Known after the handshake: what may be sent to say good-bye depends on it. */
  set protocol(protocol: number) {
    this.#protocol = protocol;
  }

  /** Called once with the first failure, whatever it is. */
  whenFailed(callback: (error: Error) => void): void {
    if (this.#failure !== undefined) callback(this.#failure);
    else this.#onFailure.push(callback);
  }

  /** Gives the conversation up, and tells the peer to do so, too; the first failure counts. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#sendErrorExit(error instanceof ProtocolError ? EXIT_PROTOCOL : EXIT_INTERRUPTED);
    this.#sink.fail(error);
    for (const callback of this.#onFailure) callback(error);
  }

  /** Something of our own goes on that the peer cannot see, such as reading: that is not idleness. */
  busy(): void {
    this.#busyMs = performance.now();
  }

  /** @throws whatever made the conversation fail */
  assertAlive(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The result of something of our own that may take any time. */
  async whileBusy<T>(work: Promise<T>): Promise<T> {
    const timer = setInterval(() => this.busy(), BUSY_INTERVAL_MS);
    try {
      return await work;
    } finally {
      clearInterval(timer);
      this.busy();
    }
  }

  /**
   * Lets the peer take what was written, when it does not keep up: then there is something to wait for.
   *
   * @throws whatever made the conversation fail, at once or later
   */
  drained(): Promise<void> | undefined {
    if (this.writer.blocked) return this.#untilDrained();
    const failure = this.#failure ?? this.#sink.failure;
    if (failure !== undefined) throw failure;
    return undefined;
  }

  async #untilDrained(): Promise<void> {
    await this.writer.drained();
    await this.drained();
  }

  /**
   * After a failure: listens for a moment to what the peer still says.
   *
   * @param reading - settles when nobody reads from the connection any more
   * @returns why the peer itself gave up, if it says so
   */
  async farewell(reading: Promise<unknown>): Promise<Error | undefined> {
    // Below protocol 31 the peer does not know that we have given up, and would not close.
    if (!this.#saidFarewell && !(this.#failure instanceof ConnectionError)) return undefined;
    const timer = setTimeout(() => {
      this.#source.fail(new ConnectionError('connection-lost', 'the server did not close'));
    }, FAREWELL_MS);
    const deadlineMs = performance.now() + FAREWELL_MS;
    const ends: unknown[] = [];
    await reading.catch((error: unknown) => ends.push(error));
    await this.#listenUntil(deadlineMs).catch((error: unknown) => ends.push(error));
    clearTimeout(timer);
    return ends.find((end) => end instanceof RemoteError);
  }

  /** A peer that never stops talking must not keep the timer from firing. */
  async #listenUntil(deadlineMs: number): Promise<void> {
    do this.reader.stream.rest();
    while (performance.now() < deadlineMs && (await this.reader.fill()));
  }

  /** Stops watching. The streams stay open: they belong to whoever opened them. */
  end(): void {
    clearInterval(this.#watch);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#source.release();
  }

  #look(): void {
    const now = performance.now();
    const sentMs = this.#sink.lastActivityMs;
    // That a keep-alive found room in a buffer does not prove that anybody is there.
    if (sentMs !== this.#keptAliveMs) this.#busyMs = Math.max(this.#busyMs, sentMs);
    const idleMs = now - Math.max(this.#source.lastActivityMs, this.#busyMs);
    const broken = this.#sink.failure;
    // A peer that no longer listens has usually closed; its own words are worth a moment.
    if (broken !== undefined && idleMs > FAREWELL_MS) this.fail(broken);
    if (idleMs > this.#idleTimeoutMs) {
      const seconds = Math.round(this.#idleTimeoutMs / 100) / 10;
      const error = new ConnectionError(
        'timeout',
        `nothing came from the server and nothing could be sent for ${seconds} s`,
        { hint: 'Run the same command again to continue.' },
      );
      this.#source.fail(error);
      this.fail(error);
    } else if (now - sentMs > this.#keepAliveMs && !this.writer.blocked) {
      if (this.writer.pending) {
        this.writer.flush();
      } else {
        this.writer.keepAlive();
        this.#keptAliveMs = this.#sink.lastActivityMs;
      }
    }
  }

  #shortenPatience(timeoutSec: number): void {
    this.#keepAliveMs = Math.min(this.#keepAliveMs, (timeoutSec * 1000) / 3);
    this.#idleTimeoutMs = Math.min(this.#idleTimeoutMs, timeoutSec * 1000);
  }

  #answerErrorExit(exitCode: number | undefined): Error {
    if (exitCode !== undefined && !this.#saidFarewell && this.#protocol >= 31) {
      this.writer.message(MSG_ERROR_EXIT, Buffer.alloc(0));
    }
    this.#saidFarewell = true;
    return errorExit(exitCode);
  }

  #interrupted(): void {
    this.fail(new InterruptedError('interrupted', 'interrupted'));
  }

  #sendErrorExit(exitCode: number): void {
    if (this.#saidFarewell || this.#protocol < 31) return;
    this.#saidFarewell = true;
    const payload = Buffer.alloc(4);
    payload.writeInt32LE(exitCode, 0);
    this.writer.message(MSG_ERROR_EXIT, payload);
  }
}
