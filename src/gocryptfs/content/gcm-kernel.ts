/** The WebAssembly that does everything of AES-GCM but AES: how it is started, and its typed face. */
import { KERNEL_CODE } from './gcm-kernel-code.ts';

/** What of WebAssembly is used here; TypeScript has it only with the whole of the DOM. */
export interface WebAssemblyHere {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

declare const WebAssembly: WebAssemblyHere | undefined;

/** What this process has of WebAssembly; undefined without a compiler, as with `--jitless`. */
export function webAssemblyHere(): WebAssemblyHere | undefined {
  return typeof WebAssembly === 'undefined' ? undefined : WebAssembly;
}

/** Blocks that one job of the kernel takes: more at once cost node:crypto more for each. */
export const KERNEL_BLOCKS = 8;

/**
 * One instance, for one key, 256 KiB. A job is `count` blocks that follow one another, 1 … 8, of
 * which the last has `last` bytes, 1 … 4096, and the others 4096. Numbers are not checked.
 *
 * Which of its tables' entries are read depends on secrets, and with them what is left in the
 * processor's caches: see SECURITY.md.
 *
 * @see gcm-kernel.wat
 */
export interface GcmKernel {
  /** Its memory; `KERNEL_PLACES` says what is where. */
  readonly memory: Buffer;
  /** Once, when the hash key is in its place: makes the tables, in some 20 µs. */
  prepare(): void;
  /** Of the next job: the number of its first block, in two 32-bit halves. */
  begin(firstLow: number, firstHigh: number): void;
  /** Puts block numbers, file ID and lengths in front of the plaintexts. */
  address(count: number, last: number): void;
  /** Nonces to counter blocks. @returns bytes of these */
  counters(count: number, last: number): number;
  /** Plaintext, nonces and key stream to sealed blocks. */
  seal(count: number, last: number): void;
  /**
   * Inverse of {@link seal}; the plaintext takes the place of the key stream.
   *
   * @returns authentic blocks before the first one that is not; the plaintext of that one is in
   *   memory, too, and must be wiped
   */
  open(count: number, last: number): number;
  /** For tests: counter blocks from the block at `KERNEL_PLACES.stream` on. */
  count(blocks: number): void;
}

/** Compiled once for all keys; undefined before that. */
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
