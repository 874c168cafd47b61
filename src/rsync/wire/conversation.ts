/**
 * One rsync conversation over a connection: its framed streams, the peer's messages and the idle
 * limit.
 */
import { PeerWatch, type PeerVerdict } from '../../bytes/peer-watch.ts';
import { ChunkSink } from '../../bytes/chunk-sink.ts';
import { ChunkSource } from '../../bytes/chunk-source.ts';
import { ConnectionError, InterruptedError, ProtocolError, RemoteError } from '../../errors.ts';
import { interrupted } from '../../interruption.ts';
import { MSG_ERROR_EXIT } from './constants.ts';
import { MultiplexReader, MultiplexWriter } from './multiplex.ts';
import type { Peer } from './peer.ts';
import { silenceAllowedMs, stagnationAllowedMs } from './patience.ts';
import { errorExit, PeerMessages, type MessageListener } from './peer-messages.ts';

/** The time limits of a conversation, and the signal that interrupts it. */
export interface ConversationOptions {
  /** Limit without a byte in either direction; for keep-alives see `patience.ts`. */
  readonly idleTimeoutMs?: number | undefined;
  /** The server's own `--timeout`: we send something about three times in that interval. */
  readonly timeoutSec?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const KEEP_ALIVE_CHECK_MS_MAX = 1000;
const BUSY_INTERVAL_MS = 20;
/** After we gave up: how long the peer may take to send its reason and to close. */
const FAREWELL_MS = 2000;
const INTERRUPTED_FAREWELL_MS = 1000;
/** Exit codes we send when we give up: for a protocol error, and as if a signal had ended us. */
const EXIT_PROTOCOL = 2;
const EXIT_INTERRUPTED = 20;

/**
 * One rsync conversation: the framed streams, the peer's messages, and a watchdog for idle time,
 * keep-alives and interruption. The first failure counts, and wakes everyone who waits.
 */
export class Conversation {
  readonly reader: MultiplexReader;
  readonly writer: MultiplexWriter;
  readonly messages: PeerMessages;
  readonly #source: ChunkSource;
  readonly #sink: ChunkSink;
  readonly #options: ConversationOptions;
  readonly #watch: PeerWatch;
  readonly #keepAlive: NodeJS.Timeout;
  readonly #onFailure: ((error: Error) => void)[] = [];
  readonly #onAbort = (): void => this.#interrupted();
  #idleTimeoutMs: number;
  #keepAliveMs: number;
  /** Counts the signs of our own work. */
  #busyCount = 0;
  /** How long the peer may work without progress; see {@link allowSilentWork}. */
  #workMs: () => number = () => 0;
  #protocol = 0;
  #isFarewellSent = false;
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
        if (level !== 'info') peer.addErrorText?.(text);
        listener.onMessage(level, text);
      },
      onDeleted: (path, isDirectory) => listener.onDeleted?.(path, isDirectory),
      onNoSend: (ndx) => listener.onNoSend?.(ndx),
      onTimeout: (timeoutSec) => this.#shortenTimeouts(timeoutSec),
      onErrorExit: (exitCode) => this.#answerErrorExit(exitCode),
    });
    this.reader = new MultiplexReader(this.#source, (code, payload) => {
      this.messages.handle(code, payload);
    });
    this.writer = new MultiplexWriter(this.#sink);
    this.#watch = new PeerWatch(
      {
        silenceMs: () => silenceAllowedMs(this.#idleTimeoutMs, this.#source.bytesRead > 0),
        stagnationMs: () => stagnationAllowedMs(this.#idleTimeoutMs, () => this.#workMs()),
      },
      {
        isDue: () => true,
        life: () => this.#source.bytesRead + this.#ownProgress(),
        progress: () => this.reader.progress + this.#ownProgress(),
      },
      (verdict) => this.#giveUp(verdict),
    );
    this.#keepAlive = setInterval(
      () => this.#check(),
      Math.max(10, Math.min(this.#keepAliveMs / 4, KEEP_ALIVE_CHECK_MS_MAX)),
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

  /** Set after the handshake: which farewell we may send depends on it. */
  set protocol(protocol: number) {
    this.#protocol = protocol;
  }

  /** Calls back once with the first failure. */
  whenFailed(callback: (error: Error) => void): void {
    if (this.#failure !== undefined) callback(this.#failure);
    else this.#onFailure.push(callback);
  }

  /** Gives up and tells the peer to do so too; the first failure counts. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#sendErrorExit(error instanceof ProtocolError ? EXIT_PROTOCOL : EXIT_INTERRUPTED);
    this.#sink.fail(error);
    for (const callback of this.#onFailure) callback(error);
  }

  /** Our side works on something that the peer cannot see, such as reading: it is not idle. */
  busy(): void {
    this.#busyCount++;
  }

  /** @param workMs - an upper estimate of how long the peer may work without progress */
  allowSilentWork(workMs: () => number): void {
    this.#workMs = workMs;
  }

  /** @throws whatever made the conversation fail */
  assertAlive(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Awaits work of our own that may take any time, and counts as busy meanwhile. */
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
   * The result of `work`, unless the conversation fails first.
   *
   * @throws what `work` throws, or whatever made the conversation fail
   */
  whileAlive<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.whenFailed(reject);
      work.then(resolve, reject);
    });
  }

  /**
   * Waits while the peer does not keep up with our writing.
   *
   * @returns undefined when there is nothing to wait for
   * @throws whatever made the conversation fail; it may also reject with that
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
   * After a failure: listens briefly for the peer's last messages.
   *
   * @param reading - settles when no other reader uses the connection any more
   * @returns the peer's own reason for giving up, if it sent one
   */
  async farewell(reading: Promise<unknown>): Promise<Error | undefined> {
    // Below protocol 31 the peer does not learn that we have given up, and would not close.
    if (!this.#isFarewellSent && !(this.#failure instanceof ConnectionError)) return undefined;
    const farewellMs = this.#farewellMs();
    if (farewellMs === 0) return undefined;
    const timer = setTimeout(() => {
      this.#source.fail(new ConnectionError('connection-lost', 'the server did not close'));
    }, farewellMs);
    const deadlineMs = performance.now() + farewellMs;
    const ends: unknown[] = [];
    await reading.catch((error: unknown) => ends.push(error));
    await this.#listenUntil(deadlineMs).catch((error: unknown) => ends.push(error));
    clearTimeout(timer);
    return ends.find((end) => end instanceof RemoteError);
  }

  /** No wait for a peer that timed out, and a short one when a person interrupts us. */
  #farewellMs(): number {
    if (this.#failure instanceof ConnectionError && this.#failure.code === 'timeout') return 0;
    return this.#failure instanceof InterruptedError ? INTERRUPTED_FAREWELL_MS : FAREWELL_MS;
  }

  /** A peer that never stops talking must not keep the timer from firing. */
  async #listenUntil(deadlineMs: number): Promise<void> {
    do this.reader.stream.rest();
    while (performance.now() < deadlineMs && (await this.reader.fill()));
  }

  /** Stops watching. The streams stay open: they belong to their opener. */
  end(): void {
    this.#watch.end();
    clearInterval(this.#keepAlive);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#source.release();
  }

  #ownProgress(): number {
    return this.#sink.progress + this.#busyCount;
  }

  #check(): void {
    const broken = this.#sink.failure;
    // A peer that no longer reads has usually closed; its last messages are worth a short wait.
    if (broken !== undefined && this.#watch.silentMs > FAREWELL_MS) this.fail(broken);
    const isQuiet = performance.now() - this.#sink.lastWriteMs > this.#keepAliveMs;
    if (!isQuiet || this.writer.blocked) return;
    if (this.writer.pending) this.writer.flush();
    else this.writer.keepAlive();
  }

  #giveUp({ why, afterMs }: PeerVerdict): void {
    const seconds = Math.round(afterMs / 100) / 10;
    const error = new ConnectionError(
      'timeout',
      why === 'silent'
        ? `nothing came from the server and nothing could be sent for ${seconds} s`
        : `for ${seconds} s the server has sent nothing but keep-alives`,
      { hint: 'Run the same command again to continue.' },
    );
    this.#source.fail(error);
    this.fail(error);
  }

  #shortenTimeouts(timeoutSec: number): void {
    this.#keepAliveMs = Math.min(this.#keepAliveMs, (timeoutSec * 1000) / 3);
    this.#idleTimeoutMs = Math.min(this.#idleTimeoutMs, timeoutSec * 1000);
  }

  #answerErrorExit(exitCode: number | undefined): Error {
    if (exitCode !== undefined && !this.#isFarewellSent && this.#protocol >= 31) {
      this.writer.message(MSG_ERROR_EXIT, Buffer.alloc(0));
    }
    this.#isFarewellSent = true;
    return errorExit(exitCode);
  }

  #interrupted(): void {
    this.fail(interrupted());
  }

  #sendErrorExit(exitCode: number): void {
    if (this.#isFarewellSent || this.#protocol < 31) return;
    this.#isFarewellSent = true;
    const payload = Buffer.alloc(4);
    payload.writeInt32LE(exitCode, 0);
    this.writer.message(MSG_ERROR_EXIT, payload);
  }
}
