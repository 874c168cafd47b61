/** The frames that carry data and messages in one direction of a conversation. */
import { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import type { ChunkSink } from '../../bytes/chunk-sink.ts';
import type { ChunkSource } from '../../bytes/chunk-source.ts';
import { ConnectionError, ProtocolError } from '../../errors.ts';
import { MPLEX_BASE, MSG_DATA } from './constants.ts';
import {
  AFTERWORD_LENGTH_MAX,
  IDLE_FRAME_LENGTH,
  IDLE_FRAMES_MAX,
  MESSAGE_LENGTH_MAX,
} from './limits.ts';

/*
 * A frame:
 *
 *   1  3 bytes  length of the payload, little-endian
 *   2  1 byte   7 + code; code 0 is data, all others are messages
 *   3  payload
 *
 * The payloads of the data frames concatenate to one stream. The boundaries of frames and of values
 * in that stream are independent, and a message may come in the middle of a value.
 *
 * @see rsync io.c read_a_msg, send_msg (3.5.0)
 */
const HEADER_LENGTH = 4;
const FRAME_LENGTH_MAX = 0xffffff;

/** Size of the buffer of one write to the connection. */
const WRITE_LENGTH = 64 * 1024;
/** After a flush, a buffer with less space than this is replaced. */
const ROOM_MIN = 8 * 1024;

/** Called for each message frame. A throw ends reading. The payload is a view that stays valid. */
export type MessageHandler = (code: number, payload: Buffer) => void;

/** Reads one direction of a conversation: raw at first, framed after {@link startMultiplex}. */
export class MultiplexReader {
  readonly #source: ChunkSource;
  readonly #onMessage: MessageHandler;
  readonly #raw = new ByteReader();
  readonly #stream = new ByteReader();
  #multiplexed = false;
  #progress = 0;
  #dataLeft = 0;
  #skipLeft = 0;
  #message: { code: number; length: number } | undefined;
  /** Frames since the last data; a long one counts as several. */
  #idleWeight = 0;
  #stopped: Error | undefined;
  /** Set when the bytes after the last whole frame are not a frame. */
  #broken: ProtocolError | undefined;
  #wakeStopped: ((error: Error) => void) | undefined;
  #filling: Promise<boolean> | undefined;

  /** @param onMessage - receives the messages in order, as soon as they can be read */
  constructor(source: ChunkSource, onMessage: MessageHandler) {
    this.#source = source;
    this.#onMessage = onMessage;
  }

  /** The data stream, for reading without waiting: see {@link ByteReader.attempt}. */
  get stream(): ByteReader {
    return this.#stream;
  }

  /** Changes with every piece of data and every message that is not empty. */
  get progress(): number {
    return this.#progress;
  }

  /** Takes back the progress of the last piece of data: it was only a keep-alive. */
  discountProgress(): void {
    this.#progress--;
  }

  /** From here on the peer sends frames. Bytes received but not yet read belong to frames too. */
  startMultiplex(): void {
    this.#multiplexed = true;
    this.#raw.append(this.#stream.rest());
    this.#splitUntilBroken();
  }

  /**
   * Decodes one value and waits for its bytes. The decoder is run again from the start of the value
   * when more bytes have arrived, so it must not change its state before its last read, and it must
   * not return undefined.
   *
   * @throws {ConnectionError} `connection-lost` — the peer closed in the middle
   * @throws {ProtocolError} `frame-invalid`, `frame-too-long`, `too-many-messages`
   * @throws whatever {@link stop} was given
   */
  async read<T>(decode: (reader: ByteReader) => T): Promise<T> {
    for (;;) {
      if (this.#stopped !== undefined) throw this.#stopped;
      const value = this.#stream.attempt(decode);
      if (value !== undefined) return value;
      if (!(await this.fillUnlessStopped())) throw closedEarly();
    }
  }

  /**
   * Like {@link read}, without waiting and without a promise: undefined if bytes are missing.
   *
   * @throws whatever {@link stop} was given
   */
  readNow<T>(decode: (reader: ByteReader) => T): T | undefined {
    if (this.#stopped !== undefined) throw this.#stopped;
    return this.#stream.attempt(decode);
  }

  /**
   * Makes the pending and every later {@link read} throw; the first reason counts. {@link fill} and
   * {@link drain} still work, to receive the peer's last messages.
   */
  stop(reason: Error): void {
    this.#stopped ??= reason;
    this.#wakeStopped?.(this.#stopped);
  }

  /**
   * Waits for one more chunk from the connection.
   *
   * @returns false once the peer has closed
   * @throws {ProtocolError} `frame-invalid`, `frame-too-long`, `too-many-messages`
   */
  fill(): Promise<boolean> {
    this.#filling ??= this.#takeChunk().finally(() => {
      this.#filling = undefined;
    });
    return this.#filling;
  }

  /** Like {@link fill}, but throws the reason of an earlier or concurrent {@link stop}. */
  fillUnlessStopped(): Promise<boolean> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    return new Promise((resolve, reject) => {
      this.#wakeStopped = reject;
      this.fill().then(resolve, reject);
    });
  }

  async #takeChunk(): Promise<boolean> {
    if (this.#broken !== undefined) throw this.#broken;
    const chunk = await this.#source.next();
    if (chunk === undefined) return false;
    if (this.#multiplexed) {
      this.#raw.append(chunk);
      this.#splitUntilBroken();
    } else {
      this.#stream.append(chunk);
      this.#progress++;
    }
    return true;
  }

  /**
   * Reads from the goodbye to the end. Messages still count. All other bytes are output of the
   * login shell after rsync has ended (an EXIT trap, a wrapper), and are dropped.
   *
   * @throws {ProtocolError} `data-after-end` — the server does not stop sending
   * @throws {ConnectionError} `connection-lost`
   */
  async drain(): Promise<void> {
    let length = this.#stream.rest().length;
    while (this.#broken === undefined && length <= AFTERWORD_LENGTH_MAX) {
      if (!(await this.fill())) return;
      length += this.#stream.rest().length;
    }
    length += this.#raw.rest().length;
    while (length <= AFTERWORD_LENGTH_MAX) {
      const chunk = await this.#source.next();
      if (chunk === undefined) return;
      length += chunk.length;
    }
    throw new ProtocolError('data-after-end', 'the server keeps sending after the goodbye');
  }

  /** Frames before a broken one stay valid: it may be output of the shell after the goodbye. */
  #splitUntilBroken(): void {
    try {
      this.#split();
    } catch (error) {
      if (!(error instanceof ProtocolError) || !isBrokenFrame(error)) throw error;
      this.#broken = error;
    }
  }

  #split(): void {
    for (;;) {
      if (this.#dataLeft > 0) {
        if (this.#raw.available === 0) return;
        const piece = this.#raw.some(this.#dataLeft);
        this.#idleWeight = 0;
        this.#progress++;
        this.#dataLeft -= piece.length;
        this.#stream.append(piece);
      } else if (this.#skipLeft > 0) {
        if (this.#raw.available === 0) return;
        this.#skipLeft -= this.#raw.some(this.#skipLeft).length;
      } else if (this.#message !== undefined) {
        const { code, length } = this.#message;
        if (this.#raw.available < length) return;
        this.#message = undefined;
        if (length > 0) this.#progress++; // an empty one is a keep-alive
        this.#onMessage(code, this.#raw.bytes(length));
      } else {
        if (this.#raw.available < HEADER_LENGTH) return;
        this.#startFrame(this.#raw.uint32());
      }
    }
  }

  #startFrame(header: number): void {
    const length = header & FRAME_LENGTH_MAX;
    const code = (header >>> 24) - MPLEX_BASE;
    if (code < 0) {
      throw new ProtocolError(
        'frame-invalid',
        `a frame begins with 0x${header.toString(16).padStart(8, '0')}, which is not a message of rsync`,
        { hint: 'Something other than rsync may have written into the connection.' },
      );
    }
    const isData = code === MSG_DATA && length > 0;
    if (!isData) this.#idleWeight += 1 + length / IDLE_FRAME_LENGTH;
    if (this.#idleWeight > IDLE_FRAMES_MAX) {
      throw new ProtocolError(
        'too-many-messages',
        'too many messages came without any data in between',
      );
    }
    if (code === MSG_DATA) this.#dataLeft = length;
    else if (length <= MESSAGE_LENGTH_MAX) this.#message = { code, length };
    else {
      throw new ProtocolError(
        'frame-too-long',
        `message ${code} of ${length} bytes; at most ${MESSAGE_LENGTH_MAX} are allowed`,
      );
    }
  }
}

function isBrokenFrame({ code }: ProtocolError): boolean {
  return code === 'frame-invalid' || code === 'frame-too-long';
}

function closedEarly(): ConnectionError {
  return new ConnectionError(
    'connection-lost',
    'the other side closed the connection in the middle of the transfer',
    { hint: 'Run the same command again to continue.' },
  );
}

/** Writes one direction of a conversation: coalesces, frames, and reports back-pressure. */
export class MultiplexWriter implements ByteSink {
  readonly #sink: ChunkSink;
  #buffer = Buffer.allocUnsafeSlow(WRITE_LENGTH);
  #start = 0;
  #length = 0;
  #headerLength = 0;

  constructor(sink: ChunkSink) {
    this.#sink = sink;
  }

  /** True while the peer takes no more: wait with {@link drained} before writing much. */
  get blocked(): boolean {
    return this.#sink.blocked;
  }

  /** True when bytes were written but not handed to the connection yet. */
  get pending(): boolean {
    return this.#length > this.#start + this.#headerLength;
  }

  /** From here on all output is framed. */
  startMultiplex(): void {
    this.flush();
    this.#headerLength = HEADER_LENGTH;
    this.#begin();
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value & 0xff;
  }

  uint16(value: number): void {
    this.#reserve(2);
    this.#buffer[this.#length++] = value & 0xff;
    this.#buffer[this.#length++] = (value >>> 8) & 0xff;
  }

  int32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeInt32LE(value | 0, this.#length);
  }

  bytes(value: Uint8Array): void {
    let done = 0;
    while (done < value.length) {
      if (this.#length === this.#buffer.length) this.#advance();
      const part = Math.min(value.length - done, this.#buffer.length - this.#length);
      this.#buffer.set(
        part === value.length ? value : value.subarray(done, done + part),
        this.#length,
      );
      this.#length += part;
      done += part;
    }
  }

  /** Sends a message after the data written so far; before framing starts it is dropped. */
  message(code: number, payload: Uint8Array): void {
    this.#message(code, payload, 'content');
  }

  #message(code: number, payload: Uint8Array, kind: 'content' | 'keep-alive'): void {
    if (this.#headerLength === 0) return;
    this.#finish();
    const frame = Buffer.allocUnsafeSlow(HEADER_LENGTH + payload.length);
    frame.writeUInt32LE(frameHeader(code, payload.length), 0);
    frame.set(payload, HEADER_LENGTH);
    this.#sink.write(frame, kind);
  }

  /** Hands all bytes written to the connection. */
  flush(): void {
    this.#finish();
  }

  /** Sends an empty data frame as a sign of life; before framing starts there is none. */
  keepAlive(): void {
    this.#message(MSG_DATA, new Uint8Array(0), 'keep-alive');
  }

  /** Resolves when the peer takes bytes again; at once if it does already. */
  async drained(): Promise<void> {
    await this.#sink.drained();
  }

  #reserve(count: number): void {
    if (this.#length + count > this.#buffer.length) this.#advance();
  }

  /** Sends the bytes written so far and makes sure that the buffer has space. */
  #advance(): void {
    this.#finish();
    if (this.#buffer.length - this.#length < ROOM_MIN) this.#renew();
  }

  #finish(): void {
    if (!this.pending) return;
    const frame = this.#buffer.subarray(this.#start, this.#length);
    if (this.#headerLength > 0) {
      frame.writeUInt32LE(frameHeader(MSG_DATA, frame.length - HEADER_LENGTH), 0);
    }
    this.#sink.write(frame);
    this.#start = this.#length;
    if (this.#buffer.length - this.#start < ROOM_MIN) this.#renew();
    else this.#begin();
  }

  /** Takes a new buffer: the old one belongs to the connection now. */
  #renew(): void {
    this.#buffer = Buffer.allocUnsafeSlow(WRITE_LENGTH);
    this.#start = 0;
    this.#begin();
  }

  #begin(): void {
    this.#length = this.#start + this.#headerLength;
  }
}

function frameHeader(code: number, length: number): number {
  return (code + MPLEX_BASE) * 0x1000000 + length;
}
