/** The queue between the half of a sender that reads requests and the half that answers them. */
import type { Entry } from '../../tree/entry.ts';
import { QUEUED_RECORDS_MAX, SUM_TABLE_BYTES_MAX } from '../wire/limits.ts';
import type { Request } from './requests.ts';

const BYTES_PER_NUMBER = 8;

/**
 * The requests that were read and not yet answered. The reading half pauses when there are too
 * many; it never waits for a particular answer.
 */
export class RequestQueue<E extends Entry> {
  #waiting: (Request<E> | undefined)[] = [];
  #first = 0;
  #heldBytes = 0;
  #failure: Error | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeAnswerer: (() => void) | undefined;

  get length(): number {
    return this.#waiting.length - this.#first;
  }

  push(request: Request<E>): void {
    this.#waiting.push(request);
    this.#heldBytes += heldBytes(request);
    this.#wakeAnswerer?.();
  }

  /**
   * Whether there is room for one more request with sums of any allowed size.
   *
   * @throws whatever {@link fail} was given
   */
  get hasRoom(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    return this.length < QUEUED_RECORDS_MAX && this.#heldBytes < SUM_TABLE_BYTES_MAX / 4;
  }

  /**
   * Resolves once {@link hasRoom} is true.
   *
   * @throws whatever {@link fail} was given
   */
  async room(): Promise<void> {
    while (!this.hasRoom) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  /**
   * The next request, if there is one. Its sums count as held until {@link finished}.
   *
   * @throws whatever {@link fail} was given
   */
  take(): Request<E> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const request = this.#waiting[this.#first];
    if (request === undefined) return undefined;
    this.#waiting[this.#first++] = undefined;
    if (this.#first > 1024 && this.#first * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return request;
  }

  /**
   * Like {@link take}, but waits for it.
   *
   * @throws whatever {@link fail} was given
   */
  async next(): Promise<Request<E>> {
    for (;;) {
      const request = this.take();
      if (request !== undefined) return request;
      await new Promise<void>((resolve) => {
        this.#wakeAnswerer = resolve;
      });
    }
  }

  /** Call after answering a request: the reading half may then continue. */
  finished(request: Request<E>): void {
    this.#heldBytes -= heldBytes(request);
    this.#wakeReader?.();
  }

  /** Makes the pending and every later {@link next} throw; the first failure counts. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wakeAnswerer?.();
    this.#wakeReader?.();
  }
}

/** Bytes of memory that a waiting request holds and that the peer controls. */
function heldBytes<E extends Entry>(request: Request<E>): number {
  if (request.kind === 'done') return 0;
  const sums = request.kind === 'transfer' ? (request.sums?.byteLength ?? 0) : 0;
  return sums + BYTES_PER_NUMBER * (request.xattrs?.length ?? 0);
}
