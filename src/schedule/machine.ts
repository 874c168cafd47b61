/** What a program printed and how it ended. */
export interface ProgramResult {
  /** Exit status; undefined: there is no such program. A program ended by a signal has -1. */
  readonly status: number | undefined;
  /** Bytes as latin1, so that nothing in them is lost. */
  readonly stdout: string;
  /** UTF-8. */
  readonly stderr: string;
}

/** The machine that jobs are installed on, as far as that needs it. Paths are absolute. */
export interface Machine {
  /** Home folder. */
  readonly home: string;
  /** `XDG_CONFIG_HOME`, or what stands for it. */
  readonly configFolder: string;
  /** Numeric user id; 0 where there is none. */
  readonly uid: number;
  /** Names of the programs that run, of all users; undefined where they cannot be seen. */
  programsRunning(): readonly string[] | undefined;
  /** Runs a program of the system to its end. Messages are not translated. */
  run(program: string, words: readonly string[], input?: string): Promise<ProgramResult>;
  /** @returns undefined when there is no such file */
  read(file: string): Buffer | undefined;
  /** Replaces a file in one step; folders are made. */
  write(file: string, content: Uint8Array | string): void;
  makeFolder(folder: string): void;
  /** @returns whether there was one */
  remove(file: string): boolean;
  /** A file for the time of `work`. */
  withTemporary<T>(content: Uint8Array, work: (file: string) => Promise<T>): Promise<T>;
}
