/** Whoever starts a run: the command line, or a program that uses this package. */

/** What every run is given by who starts it. */
export interface Caller {
  readonly platform: NodeJS.Platform;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** Hears of everything worth a line; must not throw. */
  readonly warn: (code: string, message: string) => void;
}
