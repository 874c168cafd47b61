// A fuzzing target: something that reads bytes of a peer or a file.

export interface Target {
  readonly name: string;
  /** Valid input, to be mutated. */
  readonly samples: readonly Uint8Array[];
  /** Reads the bytes. It may only fail with a typed error. */
  readonly read: (bytes: Buffer) => unknown;
  /** Executions per point if one is slow. Default 2000. */
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
