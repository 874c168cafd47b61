/** How long to wait for a server, and how long it may work without sending anything. */

/**
 * Keep-alives without progress are accepted for this many times `--timeout`, plus the time the
 * server may be working: see {@link serverWorkMs}.
 */
const STAGNATION_FACTOR = 5;
/** The speed of a slow disk: bytes read, and objects examined. */
const READ_BYTES_PER_SEC = 5_000_000;
const OBJECTS_PER_SEC = 100;

/** The first byte must arrive within this time, whatever the other limits are. */
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
 * How long a server on a slow disk may send nothing. Before its first request it examines every
 * object, and reads one file, or all files when it compares by checksum.
 */
export function serverWorkMs(
  entries: readonly { readonly size: number }[],
  readsAll: boolean,
): number {
  let bytes = 0;
  for (const { size } of entries) bytes = readsAll ? bytes + size : Math.max(bytes, size);
  return (bytes / READ_BYTES_PER_SEC + entries.length / OBJECTS_PER_SEC) * 1000;
}
