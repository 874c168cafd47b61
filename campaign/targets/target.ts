// What is fuzzed: something that reads bytes which a peer or a file may hold.

export interface Target {
  readonly name: string;
  /** Valid input, to change. */
  readonly samples: readonly Uint8Array[];
  /** Reads; it may refuse with a typed error, and must do nothing worse. */
  readonly read: (bytes: Buffer) => unknown;
  /** Executions of a point, where one takes long; default 2000. */
  readonly executions?: number;
}

/** A target that reads text. */
export function textTarget(
  name: string,
  samples: readonly string[],
  read: (text: string) => unknown,
): Target {
  return {
    name,
    samples: samples.map((sample) => Buffer.from(sample)),
    read: (bytes) => read(bytes.toString(bytes.length % 2 === 0 ? 'utf8' : 'latin1')),
  };
}
