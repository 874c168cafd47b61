/** The caller of a run: the command line, or a program that uses this package. */

/** What the caller of a run provides. */
export interface Caller {
  readonly platform: NodeJS.Platform;
  /** Ends the run. */
  readonly signal: AbortSignal;
  /** Receives warnings. Must not throw. */
  readonly warn: (code: string, message: string) => void;
}
