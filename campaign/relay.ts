// A relay in front of a server that counts the bytes in each direction and injects a fault after
// some of them.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export type Direction = 'up' | 'down';

/** What happens to a connection after a number of bytes. */
export interface Harm {
  /** Which direction is counted. Absent: the sum of both. */
  readonly counts?: Direction;
  readonly afterBytes: number;
  /**
   * `cut`: closes both ends. `reset`: the same, with a reset. `slow`: from then on only
   * `bytesPerSecond` pass in each direction. A function is called once, and all bytes pass.
   */
  readonly act: 'cut' | 'reset' | 'slow' | (() => void);
  readonly bytesPerSecond?: number;
}

const SLICE_MS = 20;

/** One listening relay. When it is armed, every connection through it is counted from zero. */
export class Relay {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  #harm: Harm | undefined;
  #isDone = false;
  #passed = { up: 0, down: 0 };

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true }, (near) => this.#join(near));
  }

  static async start(targetPort: number): Promise<Relay> {
    const relay = new Relay(targetPort);
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Bytes that have arrived since the relay was last armed. */
  get passed(): Readonly<Record<Direction, number>> {
    return this.#passed;
  }

  /** Whether the fault was injected. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Counts from zero, and injects a fault once. Without one every byte passes. */
  arm(harm?: Harm): void {
    this.#harm = harm;
    this.#isDone = false;
    this.#passed = { up: 0, down: 0 };
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    const far = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    this.#pass('up', near, far);
    this.#pass('down', far, near);
  }

  #pass(direction: Direction, from: Socket, to: Socket): void {
    void (async () => {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        const now = this.#take(direction, chunk);
        if (now.length > 0) await written(to, now);
        if (now.length < chunk.length) {
          if (this.#end([from, to])) return;
          await this.#trickle(to, chunk.subarray(now.length));
        }
      }
      to.end();
    })().catch(() => undefined);
  }

  /** The part of a chunk that passes before the fault. */
  #take(direction: Direction, chunk: Buffer): Buffer {
    const harm = this.#harm;
    const before = this.#counted(harm);
    this.#passed[direction] += chunk.length;
    if (harm === undefined || (harm.counts !== undefined && harm.counts !== direction)) {
      return this.#isDone && harm?.act === 'slow' ? chunk.subarray(0, 0) : chunk;
    }
    if (this.#isDone) return harm.act === 'slow' ? chunk.subarray(0, 0) : chunk;
    if (this.#counted(harm) < harm.afterBytes) return chunk;
    this.#isDone = true;
    if (typeof harm.act !== 'function') return chunk.subarray(0, harm.afterBytes - before);
    harm.act();
    return chunk;
  }

  #counted(harm: Harm | undefined): number {
    const { up, down } = this.#passed;
    return harm?.counts === undefined ? up + down : this.#passed[harm.counts];
  }

  /** Ends the connection if that is the fault. */
  #end(sockets: readonly Socket[]): boolean {
    const act = this.#harm?.act;
    if (act !== 'cut' && act !== 'reset') return false;
    for (const socket of sockets) {
      if (act === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }
    return true;
  }

  async #trickle(to: Socket, rest: Buffer): Promise<void> {
    const slice = Math.max(1, Math.floor(((this.#harm?.bytesPerSecond ?? 1) * SLICE_MS) / 1000));
    for (let offset = 0; offset < rest.length; offset += slice) {
      await written(to, rest.subarray(offset, offset + slice));
      await new Promise((resolve) => setTimeout(resolve, SLICE_MS));
    }
  }
}

function written(to: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    to.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
