/** A connection forwarded through a jump host. */
import { Duplex } from 'node:stream';
import type { ClientChannel } from 'ssh2';

/** The stream below an ssh connection: a socket, or a channel of another ssh connection. */
export type Carrier = Duplex & {
  readonly bytesRead: number;
  /** Including bytes waiting to be sent (`writableLength`), as with sockets. */
  readonly bytesWritten: number;
};

/** A forwarded connection through a jump host as a carrier; closing it closes the channel. */
export class TunnelStream extends Duplex implements Carrier {
  bytesRead = 0;
  #sent = 0;
  readonly #channel: ClientChannel;

  constructor(channel: ClientChannel) {
    super();
    this.#channel = channel;
    channel.on('data', (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      if (!this.push(chunk)) channel.pause();
    });
    channel.once('end', () => this.push(null));
    channel.on('error', (error: Error) => {
      this.destroy(error);
    });
    channel.once('close', () => {
      if (this.readableLength === 0) this.destroy();
      else this.once('end', () => this.destroy());
    });
  }

  get bytesWritten(): number {
    return this.#sent + this.writableLength;
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.#channel.write(chunk, (error) => {
      this.#sent += chunk.length;
      done(error);
    });
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', done);
  }

  override _final(done: () => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#channel.destroy();
    done(error);
  }
}
