/** The target of encoders: a growing buffer, or the current frame of a connection. */
export interface ByteSink {
  /** One byte; only the low eight bits of `value` count. */
  byte(value: number): void;
  /** Two bytes, little-endian. */
  uint16(value: number): void;
  /** Four bytes, little-endian, two's complement; accepts −2^31 … 2^32−1. */
  int32(value: number): void;
  /** Copies the bytes; the caller may reuse the array at once. */
  bytes(value: Uint8Array): void;
}
