// A part of the campaign: it generates points from a seed, runs one, and judges it.

/**
 * A position in a part's finite or endless sequence of experiments. The same seed and number are
 * the same experiment.
 */
export interface PointId {
  readonly seed: number;
  /** From 1 on. */
  readonly point: number;
}

/** The outcome of one point. */
export interface Outcome {
  /** A description of the experiment, for readers of a finding. */
  readonly what: string;
  /** Violations, each as `kind: details`. Empty means success. */
  readonly findings: readonly string[];
  /** Counters that are summed over all points. */
  readonly figures: Readonly<Record<string, number>>;
}

/** The environment of a part. */
export interface Lab {
  /** The built `ecsync.js`. */
  readonly cli: string;
  /** An empty folder of the part's own. The caller removes it. */
  readonly dir: string;
}

/** A part that is ready to run points, one at a time. */
export interface OpenPart {
  /** Runs one point. An exception is a finding. */
  run(id: PointId): Promise<Outcome>;
  close(): Promise<void>;
}

export interface Part {
  readonly name: string;
  /** What is checked at each point, in one sentence. */
  readonly checks: string;
  /** Number of points for a seed. Absent: endless. */
  readonly size?: number;
  /** A point that takes longer is a finding. */
  readonly pointMs: number;
  open(lab: Lab): Promise<OpenPart>;
}

/** A seed for the generator of one point, from both its numbers. */
export function pointSeed({ seed, point }: PointId): number {
  return (Math.imul(seed, 0x01000193) ^ Math.imul(point, 0x85ebca6b)) >>> 0;
}
