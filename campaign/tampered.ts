// A real server whose output is changed in transit. The conversation is correct up to the change,
// so that the fault occurs deep inside.
import { spawn, type ChildProcess } from 'node:child_process';
import { Transform, type Readable, type Writable } from 'node:stream';
import type { Random } from '../test/support/random-tree.ts';
import type { Connection } from '../src/transport/connection.ts';

/** One place where a stream is changed. */
export interface Tampering {
  readonly atByte: number;
  readonly kind: 'flip' | 'cut' | 'drop' | 'insert' | 'double' | 'number' | 'silence';
  /** The inserted bytes, or as many as are removed. */
  readonly bytes: Buffer;
}

const KINDS = ['flip', 'flip', 'cut', 'drop', 'insert', 'double', 'number', 'silence'] as const;

/** Changes at one to three places of a stream of about that length. */
export function tamperingsOf(random: Random, length: number): Tampering[] {
  return Array.from({ length: 1 + random.below(3) }, () => ({
    atByte: random.below(Math.max(1, length)),
    kind: random.pick(KINDS),
    bytes: random.bytes(1 + random.below(8)),
  })).sort((a, b) => a.atByte - b.atByte);
}

function changed(piece: Buffer, { kind, bytes }: Tampering): Buffer {
  switch (kind) {
    case 'flip':
      return Buffer.from(piece.map((byte, i) => (i === 0 ? byte ^ ((bytes[0] ?? 1) || 1) : byte)));
    case 'drop':
      return piece.subarray(bytes.length);
    case 'insert':
      return Buffer.concat([bytes, piece]);
    case 'double':
      return Buffer.concat([piece.subarray(0, 40), piece]);
    case 'number':
      return Buffer.concat([Buffer.from('ffffff7f', 'hex'), piece.subarray(4)]);
    case 'cut':
    case 'silence':
      return piece;
  }
}

/** The stream with its changes. After `cut` it ends. After `silence` nothing more arrives. */
class TamperingStream extends Transform {
  readonly #tamperings: Tampering[];
  #passed = 0;
  #end: 'cut' | 'silence' | undefined;

  constructor(tamperings: readonly Tampering[]) {
    super();
    this.#tamperings = [...tamperings];
  }

  override _transform(chunk: Buffer, _encoding: string, done: () => void): void {
    let rest = chunk;
    let start = this.#passed;
    this.#passed += chunk.length;
    while (this.#end === undefined && this.#tamperings[0] !== undefined) {
      const [next] = this.#tamperings;
      if (next.atByte >= this.#passed) break;
      this.#tamperings.shift();
      const at = Math.max(0, next.atByte - start);
      this.push(rest.subarray(0, at));
      start += at;
      rest = rest.subarray(at);
      if (next.kind === 'cut' || next.kind === 'silence') this.#end = next.kind;
      else rest = changed(rest, next);
    }
    if (this.#end === undefined) this.push(rest);
    else if (this.#end === 'cut') this.push(null);
    if (this.#end === undefined) done();
  }
}

/** A server with changed output, as a connection. */
export interface TamperedServer extends Connection {
  readonly input: Readable;
  readonly output: Writable;
  /** Bytes that the server has sent, before they were changed. */
  said(): number;
}

/** Starts a server whose output is changed. */
export function startTampered(
  program: string,
  words: readonly string[],
  tamperings: readonly Tampering[],
): TamperedServer {
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'ignore'] });
  const stream = new TamperingStream(tamperings);
  let said = 0;
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.length));
  child.stdout.pipe(stream);
  for (const one of [stream, child.stdin, child.stdout]) one.on('error', () => undefined);
  return {
    input: stream,
    output: child.stdin,
    said: () => said,
    stderrText: () => '',
    exited: endOf(child),
    destroy: () => {
      child.kill('SIGKILL');
      stream.destroy();
    },
  };
}

function endOf(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ code: 127, signal: null }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}
