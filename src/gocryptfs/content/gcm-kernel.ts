/** Starts the WebAssembly that does everything in AES-GCM except AES, and gives it types. */
import { KERNEL_CODE } from './gcm-kernel-code.ts';

/** The parts of WebAssembly that are used here; TypeScript declares it only with the whole DOM. */
export interface WebAssemblyHere {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

declare const WebAssembly: WebAssemblyHere | undefined;

/** WebAssembly in this process; undefined without a compiler, as with `--jitless`. */
export function webAssemblyHere(): WebAssemblyHere | undefined {
  return typeof WebAssembly === 'undefined' ? undefined : WebAssembly;
}

/** Blocks in one job of the kernel: with more, node:crypto takes longer for each. */
export const KERNEL_BLOCKS = 8;

/**
 * One instance for one key, 256 KiB. A job is `count` consecutive blocks, 1 … 8; the last one has
 * `last` bytes, 1 … 4096, the others 4096. The numbers are not checked.
 *
 * Secrets determine which table entries are read, and so what stays in the processor's caches: see
 * SECURITY.md.
 *
 * @see gcm-kernel.wat
 */
export interface GcmKernel {
  /** Its memory; `KERNEL_PLACES` has the offsets. */
  readonly memory: Buffer;
  /** Call it once, after the hash key was written: makes the tables, in some 20 µs. */
  prepare(): void;
  /** Sets the number of the next job's first block, in two 32-bit halves. */
  begin(firstLow: number, firstHigh: number): void;
  /** Writes block numbers, file ID and lengths before the plaintexts. */
  address(count: number, last: number): void;
  /** Turns nonces into counter blocks. @returns their length in bytes */
  counters(count: number, last: number): number;
  /** Turns plaintext, nonces and key stream into sealed blocks. */
  seal(count: number, last: number): void;
  /**
   * Inverse of {@link seal}; the plaintext replaces the key stream.
   *
   * @returns number of authentic blocks before the first one that is not; the plaintext of that one
   *   is in memory, too, and must be wiped
   */
  open(count: number, last: number): number;
  /** For tests: counter blocks from the block at `KERNEL_PLACES.stream` on. */
  count(blocks: number): void;
}

/** Compiled once for all keys; undefined until then. */
let compiled: object | undefined;

/**
 * A new instance.
 *
 * @param wasm - of this process
 * @throws whatever the engine does without SIMD, or without address space for another memory
 */
export function startKernel(wasm: WebAssemblyHere): GcmKernel {
  compiled ??= new wasm.Module(Buffer.from(KERNEL_CODE, 'base64'));
  const { exports } = new wasm.Instance(compiled);
  const { memory, ...functions } = exports as Omit<GcmKernel, 'memory'> & {
    readonly memory: { readonly buffer: ArrayBuffer };
  };
  return { ...functions, memory: Buffer.from(memory.buffer) };
}
