// What every part of the campaign is: a way to make points from a seed, to run one, and to judge it.

/** A place in a part's endless, or finite, row of experiments. The same seed and number are the same experiment. */
export interface PointId {
  readonly seed: number;
  /** From 1 on. */
  readonly point: number;
}

/** What came of one point. */
export interface Outcome {
  /** The experiment in words, for whoever reads a finding. */
  readonly what: string;
  /** Everything that must not be, each as `kind: details`. Empty means that all held. */
  readonly findings: readonly string[];
  /** Counts that are added up over all points. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Where a part works. */
export interface Lab {
  /** The built `ecsync.js`. */
  readonly cli: string;
  /** An empty folder of the part's own, removed by whoever made it. */
  readonly dir: string;
}

/** A part that is ready to run points, one after the other. */
export interface OpenPart {
  /** Runs one point. Whatever it throws is a finding. */
  run(id: PointId): Promise<Outcome>;
  close(): Promise<void>;
}

export interface Part {
  readonly name: string;
  /** What is checked at each point, in one sentence. */
  readonly checks: string;
  /** Points there are for a seed; without it there is no end. */
  readonly size?: number;
  /** A point that takes longer is a finding. */
  readonly pointMs: number;
  open(lab: Lab): Promise<OpenPart>;
}

/** A generator for one point, from both its numbers. */
export function pointSeed({ seed, point }: PointId): number {
  return (Math.imul(seed, 0x01000193) ^ Math.imul(point, 0x85ebca6b)) >>> 0;
}
