/** How long a server is waited for, and how long it may work without a word. */

/**
 * Keep-alives alone hold a conversation for so many times `--timeout`, and for as long as the server
 * may be at work: see {@link serverWorkMs}.
 */
const STAGNATION_FACTOR = 5;
/** A slow disk: bytes it reads, and objects it looks at. */
const READ_BYTES_PER_SEC = 5_000_000;
const OBJECTS_PER_SEC = 100;

/** The first byte has to come within this time, whatever else is allowed. */
const GREETING_MS = 600_000;

/** @returns milliseconds without a byte; `idleTimeoutMs` is Infinity where there is no limit */
export function silenceAllowedMs(idleTimeoutMs: number, hasGreeted: boolean): number {
  return hasGreeted ? idleTimeoutMs : Math.min(idleTimeoutMs, GREETING_MS);
}

/** @returns milliseconds with keep-alives and nothing else; `workMs` from {@link serverWorkMs} */
export function stagnationAllowedMs(idleTimeoutMs: number, workMs: () => number): number {
  return idleTimeoutMs === Infinity ? Infinity : STAGNATION_FACTOR * idleTimeoutMs + workMs();
}

/**
 * How long a server on a slow disk may have nothing to say: it looks at every object, and reads one
 * file, or all of them when it compares by checksum, before it asks for anything.
 */
export function serverWorkMs(
  entries: readonly { readonly size: number }[],
  readsAll: boolean,
): number {
  let bytes = 0;
  for (const { size } of entries) bytes = readsAll ? bytes + size : Math.max(bytes, size);
  return (bytes / READ_BYTES_PER_SEC + entries.length / OBJECTS_PER_SEC) * 1000;
}
