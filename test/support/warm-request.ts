/** A command for the warm program. */
export interface WarmRequest {
  /** The command line's file, absolute: what `process.argv[1]` is. */
  readonly program: string;
  readonly words: readonly string[];
  readonly cwd: string;
  /** All of the environment. */
  readonly environment: Readonly<Record<string, string>>;
}
